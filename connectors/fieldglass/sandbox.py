"""A stand-in of one company's Fieldglass: token, application key, a work-order download, and uploads that create, revise and close.

The shapes of the named connectors are those of this connector's default settings; SAP describes none of them.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.fieldglass.client import TOKEN_PATH
from connectors.fieldglass.settings import FieldglassSettings, Layout, Parameters
from connectors.suite.sandbox import EffectLedger, Faults, FaultyApp

TOKEN_SECONDS = 3600
REJECTED = "106"
_LAYOUT, _PARAMETERS = Layout(), Parameters()
_FORM = FieldglassSettings.model_fields
MARKER = "External Reference"
CREATION, REVISION = "Work Order Upload", "Work Order Revision Upload"
_CLOSING_COLUMNS = {_LAYOUT.id_column, _LAYOUT.end_column, _LAYOUT.closed_at_column, _LAYOUT.status_column}

_EXAMPLE = {
    "Status": "Accepted",
    "Worker ID": "",
    "Worker First Name": "Ada",
    "Worker Last Name": "Lovelace",
    "Worker Email": "ada.lovelace@mail.example",
    "Worker Phone": "",
    "Role": "Data Engineer",
    "Business Unit": "Analytics",
    "Supplier": "Brightwater Staffing",
    "Supplier ID": "BRIGHTWATER",
    "Work Order Owner Email": "grace.hopper@acme.example",
    "Position ID": "",
    "Job Posting ID": "ACMEJP00000117",
    "Site": "Berlin",
    "Country": "DE",
    "Time Zone": "Europe/Berlin",
    "Terminate At": "",
    "Pay Rate": "95.00",
    "Currency": "EUR",
    "Rate Unit": "Hour",
    "Rate Minimum": "80.00",
    "Rate Maximum": "120.00",
    "Closed At": "",
    MARKER: "",
}

Row = dict[str, str]
Answer = Callable[[Request], Awaitable[Response]]


def page_of(rows: Iterable[Mapping[str, str]], since: datetime | None, limit: int) -> list[Row]:
    """The first ``limit`` rows modified at or after ``since``, in the order of their modification."""
    modified = sorted((datetime.fromisoformat(row[_LAYOUT.modified_column]), row[_LAYOUT.id_column], dict(row)) for row in rows)
    return [row for moment, _, row in modified if since is None or moment >= since][:limit]


class FieldglassSandbox:
    """One company. ``work_orders`` are the rows of its download by work order id; a new one shows after ``lag_seconds``."""

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.client_id, self.client_secret = "stint-sandbox", secrets.token_urlsafe(24)
        self.application_key = secrets.token_urlsafe(16)
        self.work_orders: dict[str, Row] = {}
        self.tokens_issued = 0
        self.lag_seconds = 0.0
        self._shows_at: dict[str, datetime] = {}
        self._tokens: dict[str, datetime] = {}
        self._last_modified = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.RLock()
        self.effects, self.faults = EffectLedger(), Faults()
        self.app = FaultyApp(self._routes(), self.faults, latency_seconds=latency_seconds)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The settings form of an instance that talks to this sandbox at ``base_url``."""
        return {
            "base_url": base_url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "application_key": self.application_key,
            "creation_connector": CREATION,
            "revision_connector": REVISION,
            "layout": {"marker_column": MARKER},
            "parameters": {"marker": "externalReference"},
            "ca_file": str(ca_file),
        }

    def add_work_order(self, **columns: str) -> str:
        """A work order, for a person of their own; ``columns`` (by label) override those of the example. Its id."""
        with self._lock:
            today = datetime.now(UTC).date()
            number = len(self.work_orders) + 1
            row = {
                _LAYOUT.id_column: f"ACMEWO{number:08d}",
                **_EXAMPLE,
                **_somebody_else(number),
                "Worker ID": f"ACMEWK{number:08d}",
                "Start Date": (today - timedelta(days=1)).isoformat(),  # begun, wherever on Earth the work is
                _LAYOUT.end_column: (today + timedelta(days=90)).isoformat(),
                **columns,
            }
            self._shows_at[row[_LAYOUT.id_column]] = datetime.now(UTC) + timedelta(seconds=self.lag_seconds)
            self._store(row)
            return row[_LAYOUT.id_column]

    def change(self, work_order_id: str, **columns: str) -> None:
        """Set ``columns`` (by label) of a work order."""
        with self._lock:
            self._store({**self.work_orders[work_order_id], **columns})

    def show_all(self) -> None:
        """End the lag of what was created so far."""
        self._shows_at.clear()

    def expire_tokens(self) -> None:
        """Stop accepting every access token given out so far."""
        self._tokens.clear()

    def _store(self, row: Row) -> None:
        # Versions of one row must differ, also where the clock ticks slower than the caller.
        self._last_modified = max(datetime.now(UTC), self._last_modified + timedelta(microseconds=1))
        self.work_orders[row[_LAYOUT.id_column]] = {
            **row,
            _LAYOUT.modified_column: self._last_modified.isoformat(timespec="microseconds"),
        }

    def _routes(self) -> Starlette:
        download, closing = _FORM["download_connector"].default, _FORM["closing_connector"].default
        return Starlette(
            routes=[
                Route(TOKEN_PATH, self._token, methods=["POST"]),
                Route(f"/api/vc/connector/{download}", self._guarded(self._download), methods=["GET"]),
                Route(f"/api/vc/connector/{closing}", self._guarded(self._close), methods=["POST"]),
                Route(f"/api/vc/connector/{CREATION}", self._guarded(self._create), methods=["POST"]),
                Route(f"/api/vc/connector/{REVISION}", self._guarded(self._revise), methods=["POST"]),
            ]
        )

    async def _token(self, request: Request) -> Response:
        expected = {"grant_type": "client_credentials", "response_type": "token"}
        if dict(request.query_params) != expected or not self._has_key(request):
            return _error(400)
        if _basic(request.headers.get("authorization", "")) != (self.client_id, self.client_secret):
            return _error(401)
        token = secrets.token_urlsafe(48)
        self._tokens[token] = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)
        self.tokens_issued += 1
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})

    def _guarded(self, answer: Answer) -> Answer:
        async def checked(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            alive = self._tokens.get(token, datetime.min.replace(tzinfo=UTC)) > datetime.now(UTC)
            if not alive:
                return _error(401)
            return await answer(request) if self._has_key(request) else _error(403)

        return checked

    def _has_key(self, request: Request) -> bool:
        return secrets.compare_digest(request.headers.get("x-applicationkey", ""), self.application_key)

    async def _download(self, request: Request) -> Response:
        query = request.query_params
        with self._lock:
            now = datetime.now(UTC)
            rows = [row for one, row in self.work_orders.items() if self._shows_at.get(one, now) <= now]
        if "externalReference" in query:
            rows = [row for row in rows if row[MARKER] == query["externalReference"]]
        if _PARAMETERS.id in query:
            rows = [row for row in rows if row[_LAYOUT.id_column] == query[_PARAMETERS.id]]
        since = query.get(_PARAMETERS.modified_since)
        found = page_of(rows, datetime.fromisoformat(since) if since else None, int(query.get(_PARAMETERS.limit, "500")))
        return JSONResponse({_FORM["rows_field"].default: found})

    async def _close(self, request: Request) -> Response:
        rows = (await request.json())["data"]
        with self._lock:
            if not all(set(row) == _CLOSING_COLUMNS and row[_LAYOUT.id_column] in self.work_orders for row in rows):
                return _receipt(REJECTED)
            for row in rows:
                self._close_one(row)
        return _receipt("0")

    async def _create(self, request: Request) -> Response:
        rows = (await request.json())["data"]
        if not all(row.get("Worker Last Name") and set(row) <= {*_EXAMPLE, "Start Date", _LAYOUT.end_column} for row in rows):
            return _receipt(REJECTED)
        for row in rows:
            self.effects.record("create_work_order", self.add_work_order(**row))
        return _receipt("0")

    async def _revise(self, request: Request) -> Response:
        rows = (await request.json())["data"]
        with self._lock:
            if not all(row.get(_LAYOUT.id_column) in self.work_orders for row in rows):
                return _receipt(REJECTED)
            for row in rows:
                work_order_id = row[_LAYOUT.id_column]
                if any(self.work_orders[work_order_id].get(column) != value for column, value in row.items()):
                    self.change(work_order_id, **row)
                    self.effects.record("revise_work_order", work_order_id)
        return _receipt("0")

    def _close_one(self, row: Row) -> None:
        """Close, or move the end date of, a work order; nothing if it is closed as of that date already."""
        current = self.work_orders[row[_LAYOUT.id_column]]
        decisive = (_LAYOUT.status_column, _LAYOUT.end_column)
        if all(current[column] == row[column] for column in decisive):
            return
        self._store({**current, **row})
        self.effects.record("close_work_order", row[_LAYOUT.id_column])


def _basic(header: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _receipt(code: str) -> JSONResponse:
    return JSONResponse({"ReturnCode": code, "Message": "", "TransactionID": secrets.token_hex(8)})


def _error(status: int) -> JSONResponse:
    return JSONResponse({"code": status, "message": "The request cannot be carried out."}, status_code=status)


def _somebody_else(number: int) -> Row:
    """The name and address of the person of the work order of that number: nobody looks like somebody else by accident."""
    if number == 1:
        return {}
    letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))  # names have no digits
    return {"Worker Last Name": f"Lovelace {letters.title()}", "Worker Email": f"ada.lovelace{number}@mail.example"}
