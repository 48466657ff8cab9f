"""The part of a settings form that tells where tickets and evidence lie, and how they are written."""

from __future__ import annotations

from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from connectors.protocols.desks.sheets import Form
from connectors.protocols.sftp import FolderPath, FolderSettings
from workforce.errors import Refused
from workforce.period import zone


def _zone_name(name: str) -> str:
    try:
        return zone(name).key
    except Refused:
        raise PydanticCustomError("zone", "must be an IANA time zone, such as Europe/Berlin") from None


class DeskSettings(FolderSettings):
    """A desk. Several may share folders if their prefixes differ."""

    folder_fields: ClassVar[tuple[str, ...]] = ("tickets", "evidence", "closed", "set_aside", "taken")

    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,11}$")] = Field(
        default="STINT", description="begins the number of every ticket; must never change while there is anything to take away"
    )
    tickets: FolderPath = Field(description="the folder in which tickets are opened; absolute where it is this machine's")
    evidence: FolderPath = Field(description="the folder in which people leave their answers")
    closed: FolderPath = Field(
        description="where closed tickets and their evidence are kept for good: all that is known is read there"
    )
    set_aside: FolderPath = Field(description="where evidence is put that belongs to no ticket of ours")
    taken: FolderPath | None = Field(default=None, description="where a ticket system keeps the tickets that it has imported")
    form: Form = Field(default=Form.YAML, description="how tickets are written; evidence may come in any of the forms")
    time_zone: Annotated[str, AfterValidator(_zone_name)] | None = Field(
        default=None, description="the people's IANA zone, for times without an offset; without it each time needs its offset"
    )
    settle_seconds: float = Field(
        default=2.0, ge=0, le=60, description="evidence is complete if its size and time are the same after this long"
    )

    @property
    def zone(self) -> ZoneInfo | None:
        """The people's zone."""
        return ZoneInfo(self.time_zone) if self.time_zone else None
