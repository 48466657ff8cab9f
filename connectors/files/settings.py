"""The settings form of the files connector: where the files lie, how they are written, and which columns mean what."""

from __future__ import annotations

import base64
import binascii
import posixpath
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
FolderPath = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]+$")]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\x00-\x1f]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[\w-]{16}$")]
Encoding = Literal["utf-8-sig", "utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15"]


class Mode(StrEnum):
    """What one file holds."""

    FULL = "full"
    """Every record: one that is missing from two files in a row has ended."""
    DELTA = "delta"
    """Only what changed."""


class Order(StrEnum):
    """What decides which of two files is the later one."""

    MODIFIED = "modified"
    NAME = "name"


_HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def _host_key(text: str) -> str:
    kind, _, rest = text.strip().partition(" ")
    blob = rest.split(" ")[0]
    try:
        content = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if kind not in _HOST_KEYS or not content.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise PydanticCustomError(
            "host_key", "must be the server's Ed25519, ECDSA or RSA public key as in known_hosts: its type, a blank, base 64"
        )
    return f"{kind} {blob}"


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
    ended_at_column: Label = Field(default="ended_at", description="ISO 8601 instant, in uploads only")
    closed_status: Label = Field(default="ended", description="the status that an upload asks for at the end")
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
        return self

    def required(self) -> tuple[str, ...]:
        """The columns without which a file cannot be used."""
        named = (self.id_column, self.status_column, self.end_column, self.modified_column, self.marker_column)
        return tuple(column for column in named if column is not None)


class FilesSettings(ConnectorSettings):
    """One exchange of files. Without ``host`` the folders are this machine's; with it they are those of an SFTP server."""

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

    host: Label | None = None
    port: int = Field(default=22, ge=1, le=65535)
    host_key: Annotated[str, AfterValidator(_host_key)] | None = Field(
        default=None, description="the server's public key, for example: ssh-ed25519 AAAAC3Nz…; nothing else is accepted"
    )
    username: Label | None = None
    password: SecretStr | None = Field(default=None, min_length=1)
    private_key: SecretStr | None = Field(default=None, min_length=1, description="in OpenSSH's or PEM form")
    private_key_passphrase: SecretStr | None = Field(default=None, min_length=1)
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)

    @model_validator(mode="after")
    def _one_kind_of_place(self) -> Self:
        server = (self.host_key, self.username, self.password, self.private_key, self.private_key_passphrase)
        if self.host is None and any(value is not None for value in server):
            raise PydanticCustomError("host", "host is missing: host_key, username and credentials belong to an SFTP server")
        if self.host is not None and (self.host_key is None or self.username is None):
            raise PydanticCustomError("host", "an SFTP server needs host_key and username")
        if self.host is not None and (self.password is None) == (self.private_key is None):
            raise PydanticCustomError("credentials", "give either password or private_key")
        folders = [folder for folder in (self.inbox, self.archive, self.outbox, self.taken) if folder is not None]
        if self.host is None and not all(folder.startswith("/") for folder in folders):
            raise PydanticCustomError("folders", "folders of this machine are given by their absolute paths")
        if len(set(map(posixpath.normpath, folders))) < len(folders):
            raise PydanticCustomError("folders", "inbox, archive, outbox and taken must be different folders")
        return self
