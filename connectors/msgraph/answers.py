"""What Graph's answers mean, whether they come alone or as parts of a batch.

Messages of ours carry Graph's error code and request id alone: its own words may name people.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from connectors.http import Verdict, verdict_by_status
from connectors.protocols.odata import error_in
from connectors.records.answers import code_in
from workforce.errors import AlreadyTaken, NotFound, Refused

ALREADY_MEMBER = "already_member"
NO_SEAT_LEFT = "no_seat_left"
LICENCE_NOT_HELD = "licence_not_held"
ROLE_HELD = "role_held"
RESYNC_REQUIRED = "resync_required"
_SAID = {
    "does not have any available licenses": NO_SEAT_LEFT,
    "does not have a corresponding license": LICENCE_NOT_HELD,
    "Permission being assigned already exists": ROLE_HELD,
}
"""What a refusal is about, by Graph's own words for it."""
_RESYNC_CODES = frozenset({"resyncrequired", "syncstatenotfound", "syncstateinvalid", "directory_expiredpagetoken"})


def verdict(response: httpx.Response) -> Verdict:
    """410 is a refusal: of a delta token that has expired."""
    return Verdict.REFUSED if response.status_code == 410 else verdict_by_status(response)


def reason(response: httpx.Response) -> str:
    """Graph's error code, the id that Microsoft's support asks for, and what a 403 may mean besides (not verified)."""
    request_id = code_in(response, "error", "innerError", "request-id") or "none"
    admin = "; the account may hold an administrator role by way of a group" if response.status_code == 403 else ""
    return f"{error_in(response).code or response.reason_phrase} (request-id {request_id}){admin}"


def refusal(said: str, response: httpx.Response) -> Refused:
    """What is refused: a login that is taken, a member that is one already, changes that are forgotten, or something else."""
    error = error_in(response)
    for detail in error.details:
        if detail.code == "ObjectConflict":
            field = detail.target or "userPrincipalName"
            return AlreadyTaken(f"{said}: {field} is in use; look up its holder", field=field)
    if "already exist" in error.message and "references" in error.message:
        return Refused(said, cause=ALREADY_MEMBER)
    for words, cause in _SAID.items():
        if words in error.message:
            return Refused(said, cause=cause)
    if "Permission being assigned was not found" in error.message:
        return NotFound(f"{said}: the application has no such role", field="app_roles")
    if response.status_code == 410 or error.code.casefold() in _RESYNC_CODES:
        return Refused(f"{said}: changes are no longer known from there on", cause=RESYNC_REQUIRED)
    return Refused(said, cause=f"http_{response.status_code}", field=error.target or None)


@contextmanager
def done_before(cause: str) -> Iterator[None]:
    """What Graph refuses within, for ``cause``, is as it is wanted already."""
    try:
        yield
    except Refused as error:
        if error.cause != cause:
            raise
