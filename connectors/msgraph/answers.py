"""What Graph's answers mean, whether they come alone or as parts of a batch.

Messages of ours carry Graph's error code and request id alone: its own words may name people.
"""

from __future__ import annotations

import httpx

from connectors.http import Verdict, json_object, retry_after_seconds, verdict_by_status
from connectors.msgraph.records import MainError, ODataError, parsed
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

ALREADY_MEMBER = "already_member"
RESYNC_REQUIRED = "resync_required"
_RESYNC_CODES = frozenset({"resyncrequired", "syncstatenotfound", "syncstateinvalid", "directory_expiredpagetoken"})


def verdict(response: httpx.Response) -> Verdict:
    """Plain refusals, and 410 of an expired delta token, pass the edge: ``accept`` reads what they are about."""
    found = verdict_by_status(response)
    return Verdict.OK if found is Verdict.REFUSED or response.status_code == 410 else found


def reason(response: httpx.Response) -> str:
    """Graph's error code, the id that Microsoft's support asks for, and what a 403 may mean besides (not verified)."""
    error = _error_of(response)
    admin = "; the account may hold an administrator role by way of a group" if response.status_code == 403 else ""
    return f"{error.code or response.reason_phrase} (request-id {error.inner_error.request_id or 'none'}){admin}"


def accept(response: httpx.Response) -> httpx.Response:
    """A success. Raises ``AlreadyTaken``, ``Refused``."""
    if response.is_success:
        return response
    error = _error_of(response)
    said = _said(response)
    for detail in error.details:
        if detail.code == "ObjectConflict":
            field = detail.target or "userPrincipalName"
            raise AlreadyTaken(f"{said}: {field} is in use; look up its holder", field=field)
    if "already exist" in error.message and "references" in error.message:
        raise Refused(said, cause=ALREADY_MEMBER)
    if response.status_code == 410 or error.code.casefold() in _RESYNC_CODES:
        raise Refused(f"{said}: changes are no longer known from there on", cause=RESYNC_REQUIRED)
    raise Refused(said, cause=f"http_{response.status_code}", field=error.target or None)


def accept_part(response: httpx.Response) -> httpx.Response:
    """``accept`` for a part of a batch, which no edge has judged. Raises ``OutcomeUnknown`` even where it was a read."""
    said = _said(response)
    match verdict(response):
        case Verdict.THROTTLED:
            raise RetryLater(said, cause="throttled", after_seconds=retry_after_seconds(response.headers.get("retry-after")))
        case Verdict.UNAVAILABLE:
            raise OutcomeUnknown(said, cause=f"http_{response.status_code}")
        case Verdict.UNAUTHENTICATED:
            raise Misconfigured(f"{said}: the credentials are not accepted; renew them", cause="unauthenticated")
        case Verdict.FORBIDDEN:
            raise Refused(f"{said}; grant the permission named in the connector's page", cause="forbidden")
        case Verdict.NOT_FOUND:
            raise NotFound(said)
    return accept(response)


def _said(response: httpx.Response) -> str:
    return f"msgraph: {response.request.method} answered {response.status_code}: {reason(response)}"


def _error_of(response: httpx.Response) -> MainError:
    try:
        return parsed(ODataError, json_object(response, "msgraph")).error
    except HubError:
        return MainError()
