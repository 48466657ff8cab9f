"""What several commands take, said once: which tenant, which engagement, why, and how an id or a day is read."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import typer

TenantOption = Annotated[str | None, typer.Option("--tenant", "-t", help="The tenant; may be left out when there is one.")]
EngagementArgument = Annotated[str, typer.Argument(help="Its id, or the work order's id in the VMS.")]
EngagementOption = Annotated[str | None, typer.Option("--engagement", help="Only this one: its id, or its work order's.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")]


def id_argument(listed_by: str) -> Any:
    """An argument that is an id; where it is none, the message names ``listed_by``, the command that lists those there are."""

    def read(text: str) -> UUID:
        try:
            return UUID(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is no id; see: {listed_by}") from None

    return typer.Argument(help=f"Its id, from: {listed_by}.", parser=read)


def day(text: str) -> date:
    """``2027-06-30`` as a day. Raises ``typer.BadParameter``."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2027-06-30") from None
