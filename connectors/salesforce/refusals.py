"""What Salesforce's refusals mean: verdicts for the edge, and simple-salesforce's exceptions in our terms.

An error answer is a list of {errorCode, message, fields}. Messages quote values and ids, so only codes and field names are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import structlog
from pydantic import TypeAdapter, ValidationError
from simple_salesforce.exceptions import SalesforceError

from connectors.http import Verdict, verdict_by_status
from connectors.salesforce.records import Fault
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, Refused, RetryLater

log = structlog.get_logger(__name__)

LOST_PLACE = "INVALID_QUERY_LOCATOR"
TAKEN = frozenset({"DUPLICATE_VALUE", "DUPLICATES_DETECTED"})
UNKNOWN_NAMES = frozenset({"INVALID_FIELD", "INVALID_TYPE", "INVALID_FIELD_FOR_INSERT_UPDATE"})
LOCKED = "UNABLE_TO_LOCK_ROW"

_FAULTS = TypeAdapter(list[Fault])


def verdict(response: httpx.Response) -> Verdict:
    """The verdict for the edge. Refusals pass it: simple-salesforce raises them, and only there is it known what was asked."""
    codes = {fault.error_code for fault in _faults(response.content)} if not response.is_success else set()
    if "REQUEST_LIMIT_EXCEEDED" in codes:
        return Verdict.THROTTLED
    by_status = Verdict.OK if LOCKED in codes else verdict_by_status(response)
    is_refusal = by_status in {Verdict.FORBIDDEN, Verdict.NOT_FOUND, Verdict.REFUSED}
    return Verdict.OK if is_refusal and not response.has_redirect_location else by_status


@contextmanager
def in_our_terms(action: str, *, names_are_settings: str | None = None) -> Iterator[None]:
    """Turn simple-salesforce's exceptions into those of ``workforce.errors``.

    ``names_are_settings`` is the part of the form that names an unknown object or field, where these are no content of a record.
    """
    try:
        yield
    except SalesforceError as error:
        raise _translated(error, action, names_are_settings) from None


def _translated(error: SalesforceError, action: str, names_are_settings: str | None) -> HubError:
    fault = next(iter(_faults(error.content)), Fault())
    code = fault.error_code if re.fullmatch(r"[A-Z_]{1,80}", fault.error_code) else f"http_{error.status}"
    field = next((name for name in fault.fields if re.fullmatch(r"\w{1,80}", name)), None)
    told = f"salesforce: {action}: {code}" + (f" at {field}" if field else "")
    log.info("salesforce.refused", action=action, status=error.status, code=code, field=field)
    if error.status == 300:
        return Refused(f"{told}: several records carry the marker; keep it on one of them", cause="ambiguous_marker")
    if code == LOCKED:
        return RetryLater(f"{told}: somebody else holds the record", cause="row_locked")
    if code in TAKEN:
        return AlreadyTaken(f"{told}; look at the record that holds it", field=field)
    if names_are_settings is not None and code in UNKNOWN_NAMES:
        message = f"{told}; correct the names in {names_are_settings}, or let the integration user see them"
        return Misconfigured(message, cause="unknown_name", field=names_are_settings)
    if code == LOST_PLACE or error.status in {404, 410}:
        return NotFound(told, cause="lost_place" if code == LOST_PLACE else "not_found")
    if error.status == 403:
        return Refused(f"{told}; grant the integration user the permission", cause="forbidden", field=field)
    return Refused(f"{told}; correct {field or 'the record'} and replay", cause=code.lower(), field=field)


def _faults(content: object) -> list[Fault]:
    try:
        return _FAULTS.validate_json(content) if isinstance(content, bytes) else _FAULTS.validate_python(content)
    except ValidationError:
        return []
