"""The settings form of the files connector: where the files lie, how they are written, and which columns mean what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.protocols.csv_tables import CsvFormat, Encoding
from connectors.protocols.drops import Order
from connectors.protocols.sftp import FolderPath, FolderSettings
from connectors.protocols.snapshots import Ending

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\x00-\x1f]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[\w-]{16}$")]


class Mode(StrEnum):
    """What one file holds."""

    FULL = "full"
    """Every record: one that is missing from two files in a row has ended."""
    DELTA = "delta"
    """Only what changed."""


class Layout(ConnectorSettings):
    """The columns that mean something here. All others pass through to the mapping untouched."""

    id_column: Label = "id"
    modified_column: Label | None = Field(
        default=None,
        description="ISO 8601 instant with its offset of the record's last change; without it the file's own order decides",
    )
    status_column: Label = "status"
    end_column: Label = Field(default="end_date", description="ISO date")
    marker_column: Label | None = Field(
        default=None,
        description="the column in which uploads carry our marker and exports give it back; needed to create records",
    )
    ended_at_column: Label = Field(
        default="ended_at",
        description="ISO 8601 instant of the end, in uploads; a record that has ended and does not tell it has the time of the file instead",
    )
    closed_status: Label = Field(default="ended", description="the status that an upload asks for at the end")
    open_status: Label = Field(
        default="active", description="the status that an upload asks for once somebody is back after an end"
    )
    absent_status: Label = Field(
        default="ended", description="the status of a record that is missing from two full files in a row"
    )
    inactive_statuses: tuple[Label, ...] = Field(
        default=("ended", "cancelled"), description="statuses of a record for which nobody works (any more)"
    )

    @model_validator(mode="after")
    def _absence_is_an_end(self) -> Self:
        if not {self.absent_status, self.closed_status} <= set(self.inactive_statuses):
            raise PydanticCustomError("statuses", "absent_status and closed_status must be among inactive_statuses")
        if self.open_status in self.inactive_statuses:
            raise PydanticCustomError("statuses", "open_status must not be among inactive_statuses")
        return self

    def ending(self, us: int) -> Ending:
        """How a row of a file of the time ``us`` (no later than now: a file that is dated ahead puts no end off) tells an end."""
        return Ending(self.status_column, self.ended_at_column, frozenset(self.inactive_statuses), self.absent_status, us)

    def required(self) -> tuple[str, ...]:
        """The columns without which a file cannot be used."""
        named = (self.id_column, self.status_column, self.end_column, self.modified_column, self.marker_column)
        return tuple(column for column in named if column is not None)


class FilesSettings(FolderSettings):
    """One exchange of files. Without ``host`` the folders are this machine's; with it they are those of an SFTP server."""

    folder_fields = ("inbox", "archive", "outbox", "taken")

    inbox: FolderPath = Field(description="the folder into which the other system exports; absolute where it is this machine's")
    archive: FolderPath | None = Field(default=None, description="where read files are moved; without it they stay in the inbox")
    outbox: FolderPath | None = Field(default=None, description="the folder from which the other system imports; needed to write")
    taken: FolderPath | None = Field(
        default=None, description="where the other system keeps the uploads that it has imported; needed to create records"
    )
    pattern: FileName = Field(default="*.csv", description="names of the exports, with * and ?")
    ready_suffix: FileName | None = Field(
        default=None, description="a file counts only once one of the same name and this suffix is there that is no older"
    )
    mode: Mode = Mode.FULL
    order: Order = Order.MODIFIED
    settle_seconds: float = Field(
        default=2.0, ge=0, le=60, description="a file is complete if its size and time are the same after this long"
    )
    ends_with_line_break: bool = Field(
        default=True, description="an export whose last line is not ended is taken for cut off and not read"
    )
    absence_limit_percent: int = Field(
        default=5,
        ge=0,
        le=100,
        description="a full file that lacks more of the records read before (and more than a handful) waits for a person",
    )
    confirmed_files: tuple[Digest, ...] = Field(
        default=(),
        description="digests, as the failure tells them, of such files that a person has found right; keep them while the file is there",
    )
    max_file_bytes: int = Field(default=64 * 2**20, ge=1, le=2**30)
    encoding: Encoding = "utf-8-sig"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    layout: Layout = Layout()

    @property
    def csv(self) -> CsvFormat:
        """How the files are written."""
        return CsvFormat(self.encoding, self.delimiter, ends_with_line_break=self.ends_with_line_break)
