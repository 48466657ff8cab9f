"""What Salesforce's refusals mean. The edge raises them, before simple-salesforce would.

An error answer is a list of {errorCode, message, fields}. Messages quote values and ids, so only codes and field names are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from connectors.http import Verdict, verdict_by_status
from connectors.records.answers import told_in
from connectors.salesforce.records import Fault
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, Refused, RetryLater

LOST_PLACE = "INVALID_QUERY_LOCATOR"
TAKEN = frozenset({"DUPLICATE_VALUE", "DUPLICATES_DETECTED"})
UNKNOWN_NAMES = frozenset({"invalid_field", "invalid_type", "invalid_field_for_insert_update"})
LOCKED = "UNABLE_TO_LOCK_ROW"
_OBJECT = re.compile(r"/sobjects/(\w{1,80})/")


def verdict(response: httpx.Response) -> Verdict:
    """The verdict of RFC 9110, except where Salesforce's error code says it better. What is no success is for ``refusal`` to tell apart."""
    codes = {fault.error_code for fault in _faults(response)} if not response.is_success else set()
    if "REQUEST_LIMIT_EXCEEDED" in codes:
        return Verdict.THROTTLED
    by_status = Verdict.REFUSED if LOCKED in codes else verdict_by_status(response)
    return Verdict.REFUSED if by_status in {Verdict.FORBIDDEN, Verdict.NOT_FOUND} else by_status


def reason(response: httpx.Response) -> str:
    """The code, the field and the object, for people."""
    fault, sobject = _fault(response), _OBJECT.search(response.request.url.path)
    at_field = f" at {fault.field}" if fault.field else ""
    return (fault.code or response.reason_phrase) + at_field + (f" of {sobject[1]}" if sobject else "")


def refusal(said: str, response: httpx.Response) -> HubError:
    """What is refused, by its code first and its status else."""
    status, fault = response.status_code, _fault(response)
    if status == 300:
        return Refused(f"{said}: several records carry the marker; keep it on one of them", cause="ambiguous_marker")
    if fault.code == LOCKED:
        return RetryLater(f"{said}: somebody else holds the record", cause="row_locked")
    if fault.code in TAKEN:
        return AlreadyTaken(f"{said}; look at the record that holds it", field=fault.field)
    if fault.code == LOST_PLACE or status in {404, 410}:
        return NotFound(said, cause="lost_place" if fault.code == LOST_PLACE else "not_found")
    if status == 403:
        return Refused(f"{said}; grant the integration user the permission", cause="forbidden", field=fault.field)
    cause = fault.code.lower() or f"http_{status}"
    return Refused(f"{said}; correct {fault.field or 'the record'} and replay", cause=cause, field=fault.field)


@contextmanager
def names_from(part: str) -> Iterator[None]:
    """Objects and fields that are named within are those in ``part`` of the form, and no content of a record.

    Raises ``Misconfigured`` where Salesforce knows one of them not.
    """
    try:
        yield
    except Refused as error:
        if error.cause not in UNKNOWN_NAMES:
            raise
        told = f"salesforce: {error.cause.upper()}" + (f" at {error.field}" if error.field else "")
        message = f"{told}; correct the names in {part}, or let the integration user see them"
        raise Misconfigured(message, cause="unknown_name", field=part) from None


def _fault(response: httpx.Response) -> Fault:
    return next(iter(_faults(response)), Fault())


def _faults(response: httpx.Response) -> list[Fault]:
    return told_in(response.content, list[Fault], [])
