"""The wire to Dropbox Sign: HTTP Basic with the API key, pages, and errors that are told by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeVar

import httpx
from pydantic import BaseModel

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.dropboxsign.records import REQUEST_ID, NewRequest, OneRequest, RequestList, Sent, SignatureRequest
from connectors.dropboxsign.settings import DropboxSignSettings
from connectors.http import Dialect, HttpEdge, Verdict, json_object, reset_seconds, retry_after_seconds, verdict_by_status
from connectors.records.answers import Reading, code_in, whole_pdf
from connectors.records.instants import utc_now
from connectors.wire.budget import Budget
from connectors.wire.tokens import basic
from workforce.engagement import canonical
from workforce.errors import HubError, NotFound, Refused, RetryLater
from workforce.ports import CheckResult

SYSTEM = "Dropbox Sign"
PAGE_SIZE = 100
DELETED = "http_410"
_LONGEST_WINDOW_SECONDS = 3600.0
parse = Reading(SYSTEM)

M = TypeVar("M", bound=BaseModel)


def error_name(response: httpx.Response) -> str:
    """The ``error_name`` of an answer, or nothing. Never ``error_msg``: it may quote an address."""
    return code_in(response, "error", "error_name")


def verdict(response: httpx.Response) -> Verdict:
    """The verdict of RFC 9110, except that throttling is a name (with 429 or 403), and that 410 tells more than 404."""
    if not response.is_success and error_name(response) == "exceeded_rate":
        return Verdict.THROTTLED
    return Verdict.REFUSED if response.status_code == 410 else verdict_by_status(response)


def wait_seconds(response: httpx.Response) -> float | None:
    """Seconds that a throttled caller has to wait: to the Unix time in ``X-Ratelimit-Reset``, within the hour that it counts."""
    asked = retry_after_seconds(response.headers.get("retry-after"))
    if asked is not None:
        return asked
    return reset_seconds(response.headers.get("x-ratelimit-reset"), utc_now(), within_seconds=_LONGEST_WINDOW_SECONDS)


DIALECT = Dialect(
    SYSTEM,
    verdict=verdict,
    reason=lambda response: error_name(response) or response.reason_phrase,
    wait=wait_seconds,
    budgets=(Budget(100, 60),),
)


class DropboxSignClient:
    """One account's client. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``.

    What was canceled or deleted is ``Refused`` with the cause ``http_410``.
    """

    def __init__(self, settings: DropboxSignSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        headers = basic(settings.api_key.get_secret_value())
        self._edge = HttpEdge(settings.base_url, DIALECT, authorize=lambda: headers, reach=around.reach(settings))

    def request(self, request_id: str) -> SignatureRequest:
        """One request as it is now. Raises ``NotFound``."""
        return self._read(OneRequest, _path("", request_id)).signature_request

    def page(self, query: str | None, number: int, size: int = PAGE_SIZE) -> RequestList:
        """Page ``number`` of the requests that ``query`` finds. Raises ``RetryLater`` when it is missing."""
        params = {"page": str(number), "page_size": str(size), **({"query": query} if query else {})}
        page = self._read(RequestList, "/signature_request/list", params)
        if page.is_missing or page.list_info.page != number:
            message = f"{SYSTEM}: a page of requests is empty, though it is announced, or another one than was asked for"
            raise RetryLater(message, cause="unreadable_answer")
        return page

    def requests(self, query: str) -> Iterator[SignatureRequest]:
        """Every request that ``query`` finds."""
        number, is_last = 0, False
        while not is_last:
            number += 1
            page = self.page(query, number)
            yield from page.signature_requests
            is_last = page.is_last

    def send(self, new: NewRequest) -> str:
        """Send; the new request's id. Raises ``OutcomeUnknown`` when it may have been sent."""
        content = new.model_dump(mode="json", exclude_none=True)
        response = self._edge.write("POST", "/signature_request/send_with_template", json=content)
        return parse.written(Sent, json_object(response, SYSTEM)).signature_request.signature_request_id

    def cancel(self, request_id: str) -> None:
        """Have the request canceled, which Dropbox Sign then does by itself. Raises ``OutcomeUnknown``."""
        response = self._edge.write("POST", _path("cancel/", request_id))
        if response.content.strip():  # a success says nothing; a proxy's page does
            json_object(response, SYSTEM)

    def files(self, request_id: str) -> bytes:
        """The request's documents as one PDF. Raises ``NotFound``, ``RetryLater`` while they are made."""
        try:
            response = self._edge.read(
                "GET", _path("files/", request_id), params={"file_type": "pdf"}, headers={"Accept": "application/pdf"}
            )
        except Refused as error:
            raise _unreadable_files(error) from None
        return whole_pdf(response, SYSTEM)

    @faults_as_result
    def check(self) -> CheckResult:
        """List one request."""
        self.page(None, 1, size=1)
        return CheckResult(ok=True, detail=f"{SYSTEM}: the API key may list signature requests")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def _read(self, model: type[M], path: str, params: dict[str, str] | None = None) -> M:
        return canonical(model, self._edge.read_object("GET", path, params=params), source=f"{SYSTEM} answer")


def _path(action: str, request_id: str) -> str:
    if re.fullmatch(REQUEST_ID, request_id) is None:  # it is put into an address, and no callback's signature covers it
        raise NotFound(f"{SYSTEM}: not the form of a request's id")
    return f"/signature_request/{action}{request_id}"


def _unreadable_files(error: Refused) -> HubError:
    if error.cause == "http_409":
        return RetryLater(f"{SYSTEM}: the documents are still being made", cause="not_ready", after_seconds=10.0)
    return NotFound(f"{SYSTEM}: the request was canceled or deleted") if error.cause == DELETED else error
