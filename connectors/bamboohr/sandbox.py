"""A stand-in of BambooHR: one company with employees and their tables, in memory.

As the vendor where it hurts: 201 without a body, the id only in Location; reasons only in a header; tables that take the same row
twice; cursors; no look-up by employeeNumber; records that cannot be read for ``lag_seconds`` after they were created; changes told by
the second; a webhook's key that is shown once.
"""

from __future__ import annotations

import base64
import hmac
import json
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.bamboohr.webhooks import SCHEME, SIGNATURE, TIMESTAMP
from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp
from connectors.webhooks import sign

API_KEY = "sandbox-bamboohr-api-key"
PRIVATE_KEY = "sandbox-bamboohr-private-key"

_LISTED = ("firstName", "lastName", "preferredName")
_OPTIONAL = ("workEmail", "homeEmail", "workPhone", "mobilePhone", "hireDate")
_CONTAINS = ("firstName", "lastName", "jobTitleName")
_FIELDS = (
    *("employeeNumber", "firstName", "lastName", "preferredName", "workEmail", "homeEmail", "workPhone", "mobilePhone"),
    *("jobTitle", "department", "division", "location", "country", "hireDate", "status", "employmentHistoryStatus"),
)
_SECOND = "%Y-%m-%dT%H:%M:%SZ"
_REASON = b"x-bamboohr-error-message"
_ANSWERS = {
    FaultKind.THROTTLED_BEFORE: Answer(429, b"", ((_REASON, b"Too many requests"), (b"retry-after", b"0"))),
    FaultKind.THROTTLED_BARE_BEFORE: Answer(429, b"", ((_REASON, b"Too many requests"),)),
    FaultKind.BUSY_BEFORE: Answer(503, b"", ((_REASON, b"Please retry later"), (b"retry-after", b"1"))),
    FaultKind.EXPIRED_BEFORE: Answer(401, b"", ((_REASON, b"Invalid API key"),)),
    FaultKind.FORBIDDEN_BEFORE: Answer(403, b"", ((_REASON, b"You do not have access"),)),
}


class BambooHrSandbox:
    """BambooHR with one company. ``employees`` maps ids to fields, ``tables`` ids and table names to rows.

    ``changes`` holds each employee's last change, ``webhooks`` what was registered, with its key.

    ``fields`` and ``table_columns`` are what the company has, ``hidden`` the fields that the API user may not see, ``statuses`` the
    options of the employmentStatus list, ``lists`` those of other fields; change them to see the hub fail closed.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.employees: dict[str, dict[str, Any]] = {}
        self.tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.fields = list(_FIELDS)
        self.table_columns = {"employmentStatus": ["date", "employmentStatus", "comment"], "jobInfo": ["date", "jobTitle"]}
        self.statuses = ["Full-Time", "Contractor", "Terminated"]
        self.lists = {
            "jobTitle": ["Data Engineer", "Designer"],
            "department": ["Analytics", "Engineering"],
            "division": ["Europe", "Americas"],
            "location": ["Berlin", "New York"],
        }
        self.hidden: set[str] = set()
        self.lag_seconds = 0.0
        self.page_limit = 2500
        self._visible_from: dict[str, float] = {}
        self._last_id = 100
        self.changes: dict[str, tuple[str, datetime]] = {}
        self.webhooks: dict[str, dict[str, Any]] = {}
        routed = Starlette(routes=self._routes())
        self.app = FaultyApp(routed, self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``."""
        return {"base_url": base_url, "api_key": API_KEY, "webhook_private_keys": [PRIVATE_KEY], "ca_file": ca_file}

    def change_by_hand(self, employee_id: str, **fields: object) -> None:
        """Somebody at the company changes an employee, or enters one."""
        known = employee_id in self.employees
        self.employees.setdefault(employee_id, {}).update(fields)
        self._note(employee_id, "Updated" if known else "Inserted")

    def delete_by_hand(self, employee_id: str) -> None:
        """Somebody at the company deletes an employee."""
        del self.employees[employee_id]
        self._note(employee_id, "Deleted")

    def _note(self, employee_id: str, action: str) -> None:
        self.changes[employee_id] = action, datetime.now(UTC).replace(microsecond=0)

    def webhook(
        self, kind: str, employee_id: str, *, at: datetime | None = None, key: str = PRIVATE_KEY
    ) -> tuple[dict[str, str], bytes]:
        """Headers (lower case) and body of a signed delivery of ``kind`` about an employee."""
        moment = at or datetime.now(UTC)
        changed = {"changedFields": ["jobTitle"]} if kind == "employee.updated" else {}
        event = {
            "type": kind,
            "timestamp": f"{moment:{_SECOND}}",
            "data": {"companyId": "1", "employeeId": employee_id, **changed},
        }
        return self._sent(json.dumps(event).encode(), moment, key)

    def _sent(self, body: bytes, at: datetime, key: str = PRIVATE_KEY) -> tuple[dict[str, str], bytes]:
        headers = {TIMESTAMP: f"{at:{_SECOND}}", "content-type": "application/json"}
        return {**headers, SIGNATURE: sign(SCHEME, key.encode(), headers, body)}, body

    def deliveries(self, changes: Sequence[tuple[str, str]], *, seed: int = 0) -> list[tuple[dict[str, str], bytes]]:
        """What arrives of several events (kind and employee id), a second apart: each tried once or more, and in any order.

        A repeat that follows a 5xx has the body of the first and a later timestamp, and so another signature.
        """
        chance = random.Random(seed)  # noqa: S311 - an order of deliveries, no secret
        start, arrived = datetime.now(UTC), list[tuple[dict[str, str], bytes]]()
        for n, (kind, employee_id) in enumerate(changes):
            _, body = self.webhook(kind, employee_id, at=start + timedelta(seconds=n))
            arrived += [self._sent(body, start + timedelta(minutes=5 * attempt)) for attempt in range(chance.randint(1, 3))]
        chance.shuffle(arrived)
        return arrived

    def _routes(self) -> list[Route]:
        employee, table = "/api/v1/employees/{id}", "/api/v1/employees/{id}/tables/{table}"
        return [
            Route("/api/v1/employees", self._guarded(self._list), methods=["GET"]),
            Route("/api/v1/employees", self._guarded(self._create), methods=["POST"]),
            Route("/api/v1/employees/changed", self._guarded(self._changed), methods=["GET"]),
            Route("/api/v1/webhooks", self._guarded(self._list_webhooks), methods=["GET"]),
            Route("/api/v1/webhooks", self._guarded(self._create_webhook), methods=["POST"]),
            Route("/api/v1/webhooks/monitor_fields", self._guarded(self._monitor_fields), methods=["GET"]),
            Route(employee, self._guarded(self._get), methods=["GET"]),
            Route(employee, self._guarded(self._update), methods=["POST"]),
            Route(table, self._guarded(self._rows), methods=["GET"]),
            Route(table, self._guarded(self._add_row), methods=["POST"]),
            Route(table + "/{row}", self._guarded(self._update_row), methods=["POST"]),
            Route("/api/v1/meta/fields", self._guarded(self._meta_fields), methods=["GET"]),
            Route("/api/v1/meta/lists", self._guarded(self._meta_lists), methods=["GET"]),
            Route("/api/v1/meta/tables", self._guarded(self._meta_tables), methods=["GET"]),
        ]

    def _guarded(self, answer: Callable[[Request, dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
        """The route with its credentials checked and its JSON body read."""
        expected = "Basic " + base64.b64encode(f"{API_KEY}:x".encode()).decode()

        async def route(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
                return _refusal(401, "Invalid API key")
            if request.method != "POST":
                return answer(request, {})
            try:
                body = await request.json()
            except ValueError:
                return _refusal(400, "Malformed JSON")
            return answer(request, body) if isinstance(body, dict) else _refusal(400, "Malformed JSON")

        return route

    # employees

    def _create(self, request: Request, body: dict[str, Any]) -> Response:
        if not body.get("firstName") or not body.get("lastName"):
            return _refusal(400, "First name and last name are required")
        if taken := self._duplicate(body, None):
            return taken
        self._last_id += 1
        employee_id = str(self._last_id)
        self.employees[employee_id] = dict(body)
        self._visible_from[employee_id] = time.monotonic() + self.lag_seconds
        self._note(employee_id, "Inserted")
        self.effects.record("create_employee", str(body.get("employeeNumber") or employee_id))
        location = f"{request.base_url}employees/employee.php?id={employee_id}"
        return Response(status_code=201, headers={"location": location})

    def _update(self, request: Request, body: dict[str, Any]) -> Response:
        employee_id = self._visible(request)
        if employee_id is None:
            return _refusal(404, "Employee not found")
        if taken := self._duplicate(body, employee_id):
            return taken
        self.employees[employee_id].update(body)
        self._note(employee_id, "Updated")
        self.effects.record("update_employee", employee_id)
        return Response(status_code=200)

    def _duplicate(self, body: Mapping[str, Any], own_id: str | None) -> Response | None:
        wanted = str(body.get("workEmail") or "").casefold()
        others = (fields for employee_id, fields in self.employees.items() if employee_id != own_id)
        if wanted and any(str(fields.get("workEmail") or "").casefold() == wanted for fields in others):
            return _refusal(409, f"Duplicate work email: {body['workEmail']}")
        return None

    def _get(self, request: Request, _body: dict[str, Any]) -> Response:
        employee_id = self._visible(request)
        if employee_id is None:
            return _refusal(404, "Employee not found")
        wanted = request.query_params.get("fields", "firstName,lastName").split(",")
        shown = [name for name in wanted if name in self.fields and name not in self.hidden]
        return JSONResponse({"id": employee_id, **{name: self._value(employee_id, name) for name in shown}})

    def _value(self, employee_id: str, name: str) -> Any:
        if name == "status":
            return self._status(employee_id)
        return self.employees[employee_id].get(name)

    def _status(self, employee_id: str) -> str:
        """Inactive before the hire date and from the date of a last row that says so."""
        today = datetime.now(UTC).date()
        past = [row for row in self._sorted_rows(employee_id) if date.fromisoformat(row["date"]) <= today]
        hired = self.employees[employee_id].get("hireDate") or ""
        ended = bool(past) and past[-1]["employmentStatus"] == "Terminated"
        return "Inactive" if ended or hired > today.isoformat() else "Active"

    def _visible(self, request: Request) -> str | None:
        employee_id = str(request.path_params["id"])
        return employee_id if employee_id in self._visible_ids() else None

    def _visible_ids(self) -> list[str]:
        now = time.monotonic()
        return [employee_id for employee_id in self.employees if self._visible_from.get(employee_id, 0.0) <= now]

    def _list(self, request: Request, _body: dict[str, Any]) -> Response:
        query = request.query_params
        limit = query.get("page[limit]", "250")
        if not limit.isdigit() or not 1 <= int(limit) <= 2500:
            return _bad("BadRequest", "page[limit] must be between 1 and 2500")
        ids = [employee_id for employee_id in self._visible_ids() if self._matches(employee_id, query)]
        first = self._after(ids, query.get("page[after]"))
        if first is None:
            return _bad("BadPage", "The page cursor is not valid any more")
        size = min(int(limit), self.page_limit)
        page = ids[first : first + size]
        more = first + size < len(ids)
        wanted = [name for name in query.get("fields", "").split(",") if name in _OPTIONAL]
        return JSONResponse(
            {
                "data": [self._line(employee_id, wanted) for employee_id in page],
                "meta": {
                    "total": len(ids),
                    "page": {"limit": size, "nextCursor": _cursor(page) if more else None, "prevCursor": None},
                },
                "_links": {"self": {"href": str(request.url)}},
            }
        )

    def _matches(self, employee_id: str, query: Mapping[str, str]) -> bool:
        fields = self.employees[employee_id] | {"jobTitleName": self.employees[employee_id].get("jobTitle")}
        contained = all(
            query.get(f"filter[{name}]", "").casefold() in str(fields.get(name) or "").casefold() for name in _CONTAINS
        )
        ids = query.get("filter[ids]")
        status = query.get("filter[status]", self._status(employee_id)).casefold()
        return contained and (ids is None or employee_id in ids.split(",")) and status == self._status(employee_id).casefold()

    def _after(self, ids: list[str], cursor: str | None) -> int | None:
        if cursor is None:
            return 0
        cursors = [_cursor([employee_id]) for employee_id in ids]
        return cursors.index(cursor) + 1 if cursor in cursors else None

    def _line(self, employee_id: str, wanted: list[str]) -> dict[str, Any]:
        fields, names = self.employees[employee_id], [*_LISTED, *wanted]
        restricted = [name for name in names if name in self.hidden]
        return {
            "employeeId": employee_id,
            "photoUrl": None,
            "jobTitleName": fields.get("jobTitle"),
            "status": self._status(employee_id),
            **{name: None if name in restricted else fields.get(name) for name in names},
            "_restrictedFields": restricted,
        }

    def _changed(self, request: Request, _body: dict[str, Any]) -> Response:
        try:
            since = datetime.fromisoformat(request.query_params.get("since", ""))
        except ValueError:
            return _refusal(400, "since is not a valid ISO 8601 date")
        gone = self.changes.keys() - self.employees.keys()
        visible = {*self._visible_ids(), *gone}
        told = {id_: change for id_, change in self.changes.items() if id_ in visible and change[1] > since}
        entries = {id_: {"id": id_, "action": action, "lastChanged": at.isoformat()} for id_, (action, at) in told.items()}
        latest = max((at for _, at in told.values()), default=since)
        return JSONResponse({"latest": latest.isoformat(), "employees": entries})

    # webhooks

    def _list_webhooks(self, _request: Request, _body: dict[str, Any]) -> Response:
        shown = [{name: hook[name] for name in ("id", "name", "created", "lastSent", "url")} for hook in self.webhooks.values()]
        return JSONResponse({"webhooks": shown})

    def _monitor_fields(self, _request: Request, _body: dict[str, Any]) -> Response:
        described = [{"id": str(n), "name": name, "alias": name} for n, name in enumerate(self.fields, start=1)]
        return JSONResponse({"fields": described})

    def _create_webhook(self, _request: Request, body: dict[str, Any]) -> Response:
        issues = [f"{name} is required" for name in ("name", "url", "format") if not body.get(name)]
        issues += [] if str(body.get("url")).startswith("https://") else ["url must begin with https://"]
        issues += [] if body.get("monitorFields") or "employee.updated" not in body["events"] else ["monitorFields is required"]
        if issues:
            return JSONResponse({"errors": [{"error": "Invalid request body", "issues": issues}]}, status_code=400)
        if unknown := [{"name": name} for name in body["monitorFields"] if name not in self.fields or name in self.hidden]:
            return JSONResponse({"errors": {"error": "You may not monitor these", "unknownFields": unknown}}, status_code=403)
        self._last_id += 1
        hook = {"id": str(self._last_id), "created": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}", "lastSent": None, **body}
        self.webhooks[hook["id"]] = {**hook, "privateKey": secrets.token_hex(16)}
        self.effects.record("create_webhook", str(body["url"]))
        return JSONResponse(self.webhooks[hook["id"]], status_code=201)

    # tables

    def _sorted_rows(self, employee_id: str) -> list[dict[str, Any]]:
        return sorted(self.tables.get((employee_id, "employmentStatus"), []), key=lambda row: (row["date"], int(row["id"])))

    def _rows(self, request: Request, _body: dict[str, Any]) -> Response:
        employee_id, table = self._visible(request), request.path_params["table"]
        if employee_id is None or table not in self.table_columns:
            return _refusal(404, "Employee or table not found")
        rows = [{"employeeId": employee_id, **row} for row in self.tables.get((employee_id, table), [])]
        return JSONResponse(rows[::-1])  # "not sorted in any particular order"

    def _add_row(self, request: Request, body: dict[str, Any]) -> Response:
        employee_id, table = self._visible(request), request.path_params["table"]
        if employee_id is None or table not in self.table_columns:
            return _refusal(404, "Employee or table not found")
        if fault := self._row_fault(table, body, required=True):
            return fault
        self._last_id += 1
        row = {column: body.get(column) for column in self.table_columns[table]}
        self.tables.setdefault((employee_id, table), []).append({"id": str(self._last_id), **row})
        self._note(employee_id, "Updated")
        self.effects.record("add_table_row", employee_id)
        return Response(status_code=200)

    def _update_row(self, request: Request, body: dict[str, Any]) -> Response:
        employee_id, table = self._visible(request), request.path_params["table"]
        rows = self.tables.get((employee_id or "", table), [])
        row = next((row for row in rows if row["id"] == request.path_params["row"]), None)
        if row is None:
            return _refusal(404, "Row not found")
        if fault := self._row_fault(table, body, required=False):
            return fault
        row.update({column: value for column, value in body.items() if column in self.table_columns[table]})
        self._note(str(employee_id), "Updated")
        self.effects.record("update_table_row", str(employee_id))
        return Response(status_code=200)

    def _row_fault(self, table: str, body: Mapping[str, Any], *, required: bool) -> Response | None:
        if required and not body.get("date"):
            return _refusal(400, "date is required")
        if "date" in body and not _is_day(body["date"]):
            return _refusal(406, "Invalid value for date")
        status = body.get("employmentStatus", self.statuses[0])
        if table == "employmentStatus" and status not in self.statuses:
            return _refusal(406, f"Invalid value for employmentStatus: {status}")
        return None

    def _meta_fields(self, _request: Request, _body: dict[str, Any]) -> Response:
        types = {**dict.fromkeys(self.lists, "list"), "hireDate": "date"}
        described = [
            {"id": number, "name": name, "type": types.get(name, "text"), "alias": name}
            for number, name in enumerate(self.fields, start=1)
        ]
        return JSONResponse(described)

    def _meta_lists(self, _request: Request, _body: dict[str, Any]) -> Response:
        held = {name: options for name, options in self.lists.items() if name in self.fields}
        described = [
            {"fieldId": str(self.fields.index(name) + 1), "name": name, "alias": name, "manageable": "yes", "multiple": "no",
             "options": [_option(number, option) for number, option in enumerate(options, start=1)]}
            for name, options in held.items()
        ]  # fmt: skip
        return JSONResponse(described)

    def _meta_tables(self, _request: Request, _body: dict[str, Any]) -> Response:
        described = [
            {
                "alias": table,
                "fields": [{"id": number, "name": name, "alias": name, "type": "text"} for number, name in enumerate(columns)],
            }
            for table, columns in self.table_columns.items()
        ]
        return JSONResponse(described)


def _option(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "name": name, "archived": "no", "createdDate": None, "archivedDate": None}


def _refusal(status: int, reason: str) -> Response:
    return Response(status_code=status, headers={"x-bamboohr-error-message": reason.encode("ascii", "replace").decode()})


def _bad(code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=400)


def _cursor(page: list[str]) -> str:
    return base64.urlsafe_b64encode(page[-1].encode()).decode()


def _is_day(value: object) -> bool:
    try:
        return date.fromisoformat(str(value)).isoformat() == value
    except ValueError:
        return False
