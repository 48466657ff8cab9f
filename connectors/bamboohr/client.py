"""The wire to BambooHR: API key, cursors, refusals. Source: the vendor's public OpenAPI description, 3.1.0."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

import httpx

from connectors.bamboohr.records import (
    Changes,
    Employee,
    EmployeePage,
    ListedEmployee,
    ListedOptions,
    MetaField,
    MetaTable,
    MonitorFields,
    NewWebhook,
    StatusRow,
    WebhookList,
    parse,
)
from connectors.bamboohr.settings import BambooHrSettings
from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import Dialect, HttpEdge
from connectors.records.instants import instant_text
from connectors.records.paging import every_page
from connectors.records.words import named_in, sent_in, without_values
from connectors.wire.tokens import basic
from workforce.errors import AlreadyTaken, HubError, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult

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
_DUPLICATE = re.compile(r"duplicate|already|in use|not unique|must be unique", re.IGNORECASE)

T = TypeVar("T")


class BambooHrClient:
    """One company at BambooHR. Thread-safe. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, settings: BambooHrSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        header = basic(settings.api_key.get_secret_value(), "x")
        self._edge = HttpEdge(
            settings.base_url,
            Dialect("bamboohr", reason=lambda response: without_values(_words(response), sent_in(response)), refusal=_refusal),
            authorize=lambda: header,
            reach=around.reach(settings),
        )

    @faults_as_result
    def check(self) -> CheckResult:
        """Three small reads: the marker's field, the status table, and the list without which nothing is ever found again."""
        missing = self._missing()
        self._page({"page[limit]": "1"})
        if missing:
            return CheckResult(ok=False, detail=f"bamboohr: the API user cannot see {', '.join(missing)}; grant access to it")
        return CheckResult(ok=True, detail=f"bamboohr: {self.settings.base_url} answers, {MARKER_FIELD} and {STATUS_TABLE} exist")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def _missing(self) -> list[str]:
        fields = {field.alias for field in self.fields()}
        tables = {table.alias: table for table in self._read(list[MetaTable], "/api/v1/meta/tables")}
        missing = [] if MARKER_FIELD in fields else [MARKER_FIELD]
        if STATUS_TABLE not in tables:
            return [*missing, f"the table {STATUS_TABLE}"]
        columns = {column.alias for column in tables[STATUS_TABLE].fields}
        return [*missing, *(f"{STATUS_TABLE}.{column}" for column in sorted(STATUS_COLUMNS - columns))]

    def fields(self) -> list[MetaField]:
        """Every field that an employee of the company has."""
        return self._read(list[MetaField], "/api/v1/meta/fields")

    def lists(self) -> list[ListedOptions]:
        """Every field whose values come from a list, with its options."""
        return self._read(list[ListedOptions], "/api/v1/meta/lists")

    def employees(self) -> Iterator[ListedEmployee]:
        """Every employee, active and inactive, to the last page. Raises ``RetryLater`` when the list moves meanwhile.

        The description lists only OAuth scopes for this operation, and an API key for all others: ``check`` tries it.
        """
        query = {"fields": "workEmail", "page[limit]": str(PAGE_LIMIT)}

        def page(cursor: str | None) -> EmployeePage:
            return self._page({**query, "page[after]": cursor} if cursor else query)

        for each in every_page("bamboohr", page, lambda each: each.meta.page.nextCursor):
            yield from each.data

    def employee(self, employee_id: str) -> Employee:
        """One employee with the fields that can be read back. Raises ``NotFound``."""
        return self._read(Employee, _path(employee_id), params={"fields": ",".join(READABLE)})

    def create_employee(self, fields: Mapping[str, object]) -> str:
        """Create an employee; the id from the Location header, the only place that has it.

        Raises ``AlreadyTaken`` for a duplicate, ``OutcomeUnknown`` when the id cannot be told.
        """
        response = self._write(EMPLOYEES, fields)
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
        return self._read(Changes, f"{EMPLOYEES}/changed", params={"since": instant_text(since), "type": "all"})

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
        return parse.written(NewWebhook, response.content)

    def _page(self, query: Mapping[str, str]) -> EmployeePage:
        try:
            return self._read(EmployeePage, EMPLOYEES, params=query)
        except Refused as error:
            if error.cause == "http_400" and "page[after]" in query:  # "BadPage": the employee at the boundary went away
                raise RetryLater("bamboohr: the list of employees moved while it was read", cause="page_moved") from None
            raise

    def _read(self, shape: type[T], path: str, **request: object) -> T:
        return parse(shape, self._edge.read_json("GET", path, **request))

    def _write(self, path: str, fields: Mapping[str, object]) -> httpx.Response:
        response = self._edge.write("POST", path, json=dict(fields))
        if "html" in response.headers.get("content-type", ""):  # the vendor's successes have no body; this is somebody in between
            raise OutcomeUnknown("bamboohr: POST answered with a web page", cause="unreadable_answer")
        return response


def _path(employee_id: str) -> str:
    return f"{EMPLOYEES}/{quote(employee_id, safe='')}"


def _words(response: httpx.Response) -> str:
    """The vendor's own. The header's name is seen in others' code, not in the description."""
    return str(response.headers.get("x-bamboohr-error-message") or response.reason_phrase)


def _refusal(said: str, response: httpx.Response) -> HubError:
    """``Refused`` naming the field, or ``AlreadyTaken`` where a creation meets a record that can be looked up."""
    words = _words(response)
    field = named_in(words, sent_in(response))
    is_creation = (response.request.method, response.request.url.path) == ("POST", EMPLOYEES)
    if is_creation and response.status_code == 409 and field in FOUND_BY and _DUPLICATE.search(words):
        return AlreadyTaken(f"{said}; look at the record that holds {field or 'the same value'}", field=field)
    return Refused(f"{said}; correct {field or 'the record'} and replay", cause=f"http_{response.status_code}", field=field)
