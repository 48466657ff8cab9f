"""The wire to BambooHR: API key, cursors, refusals. Source: the vendor's public OpenAPI description, 3.1.0."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote

import httpx
import structlog

from connectors.bamboohr.records import (
    Changes,
    Employee,
    EmployeePage,
    ListedEmployee,
    MetaField,
    MetaTable,
    MonitorFields,
    NewWebhook,
    StatusRow,
    WebhookList,
    parse,
)
from connectors.bamboohr.settings import BambooHrSettings
from connectors.contract import ALONE, Surroundings
from connectors.http import Dialect, HttpEdge, Verdict, verdict_by_status
from workforce.errors import AlreadyTaken, HubError, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult

log = structlog.get_logger(__name__)

EMPLOYEES = "/api/v1/employees"
WEBHOOKS = "/api/v1/webhooks"
WEBHOOK_EVENTS = ("employee.created", "employee.updated", "employee.deleted")
STATUS_TABLE = "employmentStatus"
STATUS_COLUMNS = frozenset({"date", "employmentStatus"})
MARKER_FIELD = "employeeNumber"
READABLE = (
    MARKER_FIELD, "firstName", "lastName", "preferredName", "workEmail", "homeEmail", "workPhone", "mobilePhone", "jobTitle",
    "department", "division", "location", "country", "hireDate", "status",
)  # fmt: skip
FOUND_BY: frozenset[str | None] = frozenset({None, "workEmail", MARKER_FIELD})
"""Duplicates (``None``: of an unnamed field) whose holder can be looked up; of any other field it is a plain refusal."""
PAGE_LIMIT = 2500  # the vendor's maximum for this list

_EMPLOYEE_ID = re.compile(r"(?:/employees/|[?&]id=)(\d+)(?=$|[/?&#])")
_ADDRESS_OR_NUMBER = re.compile(r"[^\s<>\"']+@[^\s<>\"']+|\d[\d -]{4,}\d")  # a tax or bank number, however it is written
_DUPLICATE = re.compile(r"duplicate|already|in use|not unique|must be unique", re.IGNORECASE)

T = TypeVar("T")


def _verdict(response: httpx.Response) -> Verdict:
    """Plain refusals pass: only here, beside the request, is it known which field they are about."""
    verdict = verdict_by_status(response)
    return Verdict.OK if verdict is Verdict.REFUSED else verdict


def _words(response: httpx.Response) -> str:
    """The vendor's own. The header's name is seen in others' code, not in the description."""
    return str(response.headers.get("x-bamboohr-error-message") or response.reason_phrase)


def _reason(words: str, sent: Mapping[str, object]) -> str:
    """The vendor's words without addresses, numbers and what was sent: they may tell who it is."""
    reason = _ADDRESS_OR_NUMBER.sub("…", words)
    for text in sorted((str(value) for value in sent.values() if value not in (None, "")), key=len, reverse=True):
        reason = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", reason, flags=re.IGNORECASE)
    return reason[:200]


class BambooHrClient:
    """One company at BambooHR. Thread-safe. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, settings: BambooHrSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        basic = httpx.BasicAuth(settings.api_key.get_secret_value(), "x")
        header = next(basic.auth_flow(httpx.Request("GET", settings.base_url))).headers["Authorization"]
        self._edge = HttpEdge(
            settings.base_url,
            Dialect("bamboohr", verdict=_verdict, reason=lambda response: _reason(_words(response), {})),
            authorize=lambda: {"Authorization": header},
            reach=around.reach(settings),
        )

    def check(self) -> CheckResult:
        """Three small reads: the marker's field, the status table, and the list without which nothing is ever found again."""
        try:
            missing = self._missing()
            self._page({"page[limit]": "1"})
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        if missing:
            return CheckResult(ok=False, detail=f"bamboohr: the API user cannot see {', '.join(missing)}; grant access to it")
        return CheckResult(ok=True, detail=f"bamboohr: {self.settings.base_url} answers, {MARKER_FIELD} and {STATUS_TABLE} exist")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def _missing(self) -> list[str]:
        fields = {field.alias for field in self._read(list[MetaField], "/api/v1/meta/fields")}
        tables = {table.alias: table for table in self._read(list[MetaTable], "/api/v1/meta/tables")}
        missing = [] if MARKER_FIELD in fields else [MARKER_FIELD]
        if STATUS_TABLE not in tables:
            return [*missing, f"the table {STATUS_TABLE}"]
        columns = {column.alias for column in tables[STATUS_TABLE].fields}
        return [*missing, *(f"{STATUS_TABLE}.{column}" for column in sorted(STATUS_COLUMNS - columns))]

    def employees(self) -> Iterator[ListedEmployee]:
        """Every employee, active and inactive, to the last page. Raises ``RetryLater`` when the list moves meanwhile.

        The description lists only OAuth scopes for this operation, and an API key for all others: ``check`` tries it.
        """
        query = {"fields": "workEmail", "page[limit]": str(PAGE_LIMIT)}
        seen: set[str] = set()
        while True:
            page = self._page(query)
            yield from page.data
            cursor = page.meta.page.nextCursor
            if not cursor:
                return
            if cursor in seen:
                raise RetryLater("bamboohr: the list of employees repeats a page", cause="page_moved")
            seen.add(cursor)
            query["page[after]"] = cursor

    def employee(self, employee_id: str) -> Employee:
        """One employee with the fields that can be read back. Raises ``NotFound``."""
        return self._read(Employee, _path(employee_id), params={"fields": ",".join(READABLE)})

    def create_employee(self, fields: Mapping[str, object]) -> str:
        """Create an employee; the id from the Location header, the only place that has it.

        Raises ``AlreadyTaken`` for a duplicate, ``OutcomeUnknown`` when the id cannot be told.
        """
        response = self._write(EMPLOYEES, fields, unique=FOUND_BY)
        ids = set(_EMPLOYEE_ID.findall(response.headers.get("location", "")))
        if response.status_code != 201 or len(ids) != 1:
            raise OutcomeUnknown("bamboohr: POST succeeded without telling the new employee's id", cause="no_location")
        return str(ids.pop())

    def update_employee(self, employee_id: str, fields: Mapping[str, object]) -> None:
        """Set fields. Raises ``NotFound``; a duplicate is a plain refusal, since there is nothing to adopt."""
        self._write(_path(employee_id), fields)

    def status_rows(self, employee_id: str) -> list[StatusRow]:
        """The employmentStatus table of one employee, in no particular order. Raises ``NotFound``."""
        return self._read(list[StatusRow], f"{_path(employee_id)}/tables/{STATUS_TABLE}")

    def write_status_row(self, employee_id: str, row_id: str | None, columns: Mapping[str, str]) -> None:
        """Add a row to the employmentStatus table, or change the columns of row ``row_id``."""
        row = f"/{quote(row_id, safe='')}" if row_id else ""
        self._write(f"{_path(employee_id)}/tables/{STATUS_TABLE}{row}", columns)

    def changed(self, since: datetime) -> Changes:
        """The employees whose fields or tables changed since ``since`` (aware), each with its last change."""
        return self._read(
            Changes, f"{EMPLOYEES}/changed", params={"since": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "type": "all"}
        )

    def register_webhook(self, url: str, *, name: str = "Stint", monitored: Sequence[str] = READABLE) -> NewWebhook:
        """Let BambooHR push employee events to ``url`` (https); its private key is shown here and never again.

        For an administrator, who keeps the key as one of ``webhook_private_keys``. Of ``monitored`` those fields are watched that the
        company has. Raises ``AlreadyTaken`` when the API user has a webhook to ``url``, whose key nobody can show: delete that one first.
        After ``OutcomeUnknown`` call it again, which tells whether there is one now.
        """
        if holder := next((one.id for one in self._read(WebhookList, WEBHOOKS).webhooks if one.url == url), None):
            message = f"bamboohr: webhook {holder} already leads to this url and its key cannot be shown again; delete it first"
            raise AlreadyTaken(message, field="url")
        known = {field.alias for field in self._read(MonitorFields, f"{WEBHOOKS}/monitor_fields").fields}
        fields = {"name": name, "url": url, "format": "json", "events": WEBHOOK_EVENTS}
        response = self._write(WEBHOOKS, {**fields, "monitorFields": [field for field in monitored if field in known]})
        try:
            return parse(NewWebhook, response.json())
        except (ValueError, RecursionError, RetryLater):
            raise OutcomeUnknown("bamboohr: the webhook was made without telling its key", cause="unreadable_answer") from None

    def _page(self, query: Mapping[str, str]) -> EmployeePage:
        try:
            return self._read(EmployeePage, EMPLOYEES, params=query)
        except Refused as error:
            if error.cause == "http_400" and "page[after]" in query:  # "BadPage": the employee at the boundary went away
                raise RetryLater("bamboohr: the list of employees moved while it was read", cause="page_moved") from None
            raise

    def _read(self, shape: type[T], path: str, **request: object) -> T:
        response = self._edge.read("GET", path, **request)
        _accept(response, {}, frozenset())
        try:
            payload = response.json()
        except (ValueError, RecursionError):
            raise RetryLater("bamboohr: GET answered without readable JSON", cause="unreadable_answer") from None
        return parse(shape, payload)

    def _write(self, path: str, fields: Mapping[str, object], *, unique: frozenset[str | None] = frozenset()) -> httpx.Response:
        body = json.dumps(dict(fields)).encode()
        response = self._edge.write("POST", path, content=body, headers={"Content-Type": "application/json"})
        _accept(response, fields, unique)
        if "html" in response.headers.get("content-type", ""):  # the vendor's successes have no body; this is somebody in between
            raise OutcomeUnknown("bamboohr: POST answered with a web page", cause="unreadable_answer")
        return response


def _path(employee_id: str) -> str:
    return f"{EMPLOYEES}/{quote(employee_id, safe='')}"


def _accept(response: httpx.Response, sent: Mapping[str, object], unique: frozenset[str | None]) -> None:
    """Raise ``Refused`` naming the field, or ``AlreadyTaken`` for a duplicate in ``unique``, unless the answer is a success."""
    if response.is_success:
        return
    words = _words(response)
    field = _field_in(words, sent)
    told = f"bamboohr: {response.request.method} answered {response.status_code}: {_reason(words, sent)}"
    log.info("bamboohr.refused", status=response.status_code, field=field)
    if response.status_code == 409 and field in unique and _DUPLICATE.search(words):
        raise AlreadyTaken(f"{told}; look at the record that holds {field or 'the same value'}", field=field)
    raise Refused(f"{told}; correct {field or 'the record'} and replay", cause=f"http_{response.status_code}", field=field)


def _field_in(reason: str, sent: Mapping[str, object]) -> str | None:
    """The sent field that the reason speaks of, however it is spelled ("Work Email", "workEmail"); the longest name wins."""
    squeezed = re.sub(r"[^a-z0-9]", "", reason.lower())
    named = [name for name in sent if re.sub(r"[^a-z0-9]", "", name.lower()) in squeezed]
    return max(named, key=len, default=None)
