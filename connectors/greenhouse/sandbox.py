r"""A stand-in of Greenhouse Harvest v3: one organisation with its hires, in memory.

As the vendor where it hurts: flat objects without nesting, lists paged by a cursor that has to come alone and expires
(``cursor_seconds``), 422 for parameters that are not known, tokens that expire, scopes, an offers list that is empty (not forbidden) for a
user without the permission, changes that show late (``lag_seconds``), a rate limit (``requests_per_window``), web hooks with ``\u003c`` escapes.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.greenhouse.webhooks import SCHEME, SIGNATURE
from connectors.suite.sandbox import EffectLedger, Faults, FaultyApp
from connectors.webhooks import sign

CLIENT_ID = "sandbox-greenhouse-client"
CLIENT_SECRET = "sandbox-greenhouse-client-secret"
WEBHOOK_SECRET = "sandbox-greenhouse-webhook-secret"
RESOURCES = ("applications", "candidates", "offers", "jobs", "openings")
WINDOW_SECONDS = 30

_FILTERS = {
    "applications": {"candidate_ids": "candidate_id", "job_ids": "job_id"},
    "offers": {"application_ids": "application_id", "candidate_ids": "candidate_id", "job_ids": "job_id"},
}


@dataclass(slots=True)
class _Listing:
    """What a page cursor stands for."""

    resource: str
    query: Mapping[str, str]
    after_id: int
    good_until: float


class GreenhouseSandbox:
    """Greenhouse with one organisation. ``token_answer`` is how the expiry is told: expires_in, expires_at or expires.

    ``link_origin`` is where links to next pages point, if not here; ``outbox`` holds the web hooks that were made.
    """

    effects: EffectLedger
    faults: Faults
    app: ASGIApp

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.scopes = set(RESOURCES)
        self.user_may_see_offers = True
        self.token_answer = "expires_at"
        self.token_lifetime_seconds = 3600.0
        self.cursor_seconds = 900.0
        self.page_limit = 500
        self.lag_seconds = 0.0
        self.requests_per_window: int | None = None
        self.link_origin: str | None = None
        self.outbox: list[tuple[dict[str, str], bytes]] = []
        self.tokens: dict[str, tuple[float, str | None]] = {}
        self._rows: dict[str, dict[int, list[tuple[float, dict[str, Any]]]]] = {name: {} for name in RESOURCES}
        self._listings: dict[str, _Listing] = {}
        self._recent: deque[float] = deque()
        self._clock = datetime.now(UTC)
        self.app = FaultyApp(Starlette(routes=self._routes()), self.faults, latency_seconds=latency_seconds)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``."""
        return {
            "base_url": base_url,
            "auth_url": base_url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "sub": "4001",
            "webhook_secrets": [WEBHOOK_SECRET],
            "ca_file": ca_file,
        }

    # what people do in Greenhouse

    def apply(self, n: int) -> str:
        """Somebody applies; the application's id."""
        candidate, job, application = 1000 + n, 500, 100_000 + n
        if job not in self._rows["jobs"]:
            self.put("jobs", job, _job())
        self.put("candidates", candidate, _candidate(n))
        self.put("applications", application, _application(candidate, job))
        return str(application)

    def hire(self, n: int, *, employment_type: str = "Contractor") -> str:
        """Candidate ``n`` accepts an offer and is hired; the application's id."""
        application = int(self.apply(n))
        opening = 7000 + n
        self.put("openings", opening, _opening(application))
        self.put("offers", 30_000 + n, _offer(application, 1000 + n, opening, employment_type))
        self.change("applications", application, status="hired", stage_id=None, stage_name=None)
        self.effects.record("hire", str(application))
        return str(application)

    def unhire(self, application_id: str) -> None:
        """The hire is taken back."""
        self.change("applications", int(application_id), status="in_process", stage_id=88, stage_name="Offer")
        self.effects.record("unhire", application_id)

    def revise_offer(self, application_id: str, **fields: object) -> None:
        """A new version of the offer; the one before is kept as deprecated. The application is not touched."""
        current = self._offer_of(int(application_id))
        self.change("offers", current["id"], status="Deprecated")
        fresh = {**current, **fields, "version": current["version"] + 1}
        self.put("offers", current["id"] + 1_000_000, fresh)

    def change(self, resource: str, row_id: int, **fields: object) -> None:
        """Change fields of one object."""
        self.put(resource, row_id, {**self._rows[resource][row_id][-1][1], **fields})

    def put(self, resource: str, row_id: int, fields: Mapping[str, object]) -> None:
        """Make or replace one object: its ``updated_at`` is later than every other, and it shows after ``lag_seconds``."""
        later = max(datetime.now(UTC), self._clock + timedelta(milliseconds=1))
        # a whole second would look like a clock of seconds, whose present one waits for the next poll
        self._clock = later if later.microsecond >= 1000 else later + timedelta(milliseconds=1)
        now = _text(self._clock)
        versions = self._rows[resource].setdefault(row_id, [])
        created = versions[-1][1]["created_at"] if versions else now
        row = {**fields, "id": row_id, "created_at": created, "updated_at": now}
        versions.append((time.monotonic() + self.lag_seconds if self.lag_seconds else 0.0, row))

    def delete(self, resource: str, row_id: int) -> None:
        """Delete one object for good."""
        del self._rows[resource][row_id]

    def webhook(self, action: str, application_id: str) -> tuple[dict[str, str], bytes]:
        """Headers (lower case) and body of a signed delivery about an application, or of the ping."""
        message: dict[str, Any] = {"action": action, "payload": {"ping": "pong"}}
        if action != "ping":
            message["payload"] = self._payload(action, int(application_id))
        body = json.dumps(message).replace("<", "\\u003c").replace(">", "\\u003e").encode()
        headers = {**self.signed(body), "greenhouse-event-id": secrets.token_hex(12), "content-type": "application/json"}
        self.outbox.append((headers, body))
        return headers, body

    def expire_cursors(self) -> None:
        """No page cursor that was given out is good any more."""
        self._listings.clear()

    def show_everything(self) -> None:
        """Changes that were late show now; their instants stay."""
        for rows in self._rows.values():
            for versions in rows.values():
                versions[:] = [(0.0, row) for _, row in versions]

    def deliveries(self, chance: random.Random) -> Sequence[tuple[dict[str, str], bytes]]:
        """Every web hook so far as it may arrive: some of it twice, in any order."""
        sent = self.outbox + [one for one in self.outbox if chance.random() < 0.3]
        chance.shuffle(sent)
        return sent

    def signed(self, body: bytes) -> dict[str, str]:
        """The signature header for ``body``."""
        return {SIGNATURE: "sha256 " + sign(SCHEME, WEBHOOK_SECRET.encode(), {}, body)}

    def _payload(self, action: str, application_id: int) -> dict[str, Any]:
        application = self._rows["applications"][application_id][-1][1]
        if action.startswith("offer_"):
            offer = self._offer_of(application_id)
            told = {
                "id": offer["id"],
                "application_id": application_id,
                "version": offer["version"],
                "offer_status": offer["status"],
            }
            return {"offer": told} if action == "offer_deleted" else told
        candidate = self._rows["candidates"][application["candidate_id"]][-1][1]
        notes = {"notes": "<p>Starts <b>soon</b>, as agreed.</p>"}
        return {"application": {"id": application_id, "status": application["status"], "candidate": candidate, **notes}}

    def _offer_of(self, application_id: int) -> dict[str, Any]:
        offers = [rows[-1][1] for rows in self._rows["offers"].values() if rows[-1][1]["application_id"] == application_id]
        return max(offers, key=lambda offer: int(offer["version"]))

    # the API

    def _routes(self) -> list[Route]:
        lists = [Route(f"/v3/{name}", self._guarded(name), methods=["GET"]) for name in RESOURCES]
        return [Route("/token", self._token, methods=["POST"]), *lists]

    async def _token(self, request: Request) -> Response:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        form = dict(part.partition("=")[::2] for part in (await request.body()).decode().split("&"))
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
        token = secrets.token_urlsafe(24)
        self.tokens[token] = time.monotonic() + self.token_lifetime_seconds, form.get("sub")
        return JSONResponse({"token_type": "Bearer", "access_token": token, **self._expiry()})

    def _expiry(self) -> dict[str, Any]:
        if self.token_answer == "expires_in":
            return {"expires_in": self.token_lifetime_seconds}
        return {self.token_answer: _text(datetime.now(UTC) + timedelta(seconds=self.token_lifetime_seconds))}

    def _guarded(self, resource: str) -> Callable[[Request], Awaitable[Response]]:
        """The list with token, scope, limit and parameters checked."""

        async def route(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            good_until, user = self.tokens.get(token, (0.0, None))
            if good_until <= time.monotonic():
                return _fault(401, "Invalid access token")
            if resource not in self.scopes:
                return _fault(403, f"The token lacks harvest:{resource}:list")
            if throttled := self._throttled():
                return throttled
            answer = self._list(request, resource)
            if resource == "offers" and user is not None and not self.user_may_see_offers and answer.status_code == 200:
                answer = JSONResponse([])
            answer.headers.update(self._limits())
            return answer

        return route

    def _throttled(self) -> Response | None:
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        if self.requests_per_window is None or len(self._recent) < self.requests_per_window:
            self._recent.append(now)
            return None
        wait = max(1, round(WINDOW_SECONDS - (now - self._recent[0]))) if self._recent else WINDOW_SECONDS
        return JSONResponse({"message": "Rate limited"}, status_code=429, headers={"retry-after": str(wait), **self._limits()})

    def _limits(self) -> dict[str, str]:
        limit = self.requests_per_window or 1000
        return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(max(0, limit - len(self._recent)))}

    def _list(self, request: Request, resource: str) -> Response:
        query = dict(request.query_params)
        listing = _Listing(resource, query, 0, 0.0)
        if "cursor" in query:
            known = self._listings.get(query["cursor"])
            if len(query) > 1 or known is None or known.resource != resource or known.good_until <= time.monotonic():
                return _fault(422, "cursor is invalid or is not the only parameter")
            listing = known
        elif wrong := _wrong_parameter(resource, query):
            return _fault(422, f"{wrong} is invalid")
        rows = [row for row in self._visible(resource) if row["id"] > listing.after_id and _matches(row, listing)]
        rows = self._current_only(rows) if listing.query.get("current_only") == "true" else rows
        per_page = min(int(listing.query.get("per_page", "100")), self.page_limit)
        shown = rows[:per_page]
        return JSONResponse(shown, headers=self._link(request, listing, shown[-1]["id"]) if len(rows) > per_page else {})

    def _link(self, request: Request, listing: _Listing, last_id: int) -> dict[str, str]:
        cursor = secrets.token_urlsafe(12)
        good_until = time.monotonic() + self.cursor_seconds
        self._listings[cursor] = _Listing(listing.resource, listing.query, last_id, good_until)
        origin = self.link_origin or f"{request.url.scheme}://{request.url.netloc}"
        return {"link": f'<{origin}{request.url.path}?cursor={cursor}>; rel="next"'}

    def _visible(self, resource: str) -> list[dict[str, Any]]:
        """Each object as it shows now, by id."""
        now = time.monotonic()
        shown = [[row for at, row in versions if at <= now] for _, versions in sorted(self._rows[resource].items())]
        return [rows[-1] for rows in shown if rows]

    def _current_only(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        latest: dict[int, int] = {}
        for row in self._visible("offers"):
            latest[row["application_id"]] = max(latest.get(row["application_id"], 0), row["version"])
        return [row for row in rows if row["version"] == latest[row["application_id"]]]


def _wrong_parameter(resource: str, query: Mapping[str, str]) -> str | None:
    """The first parameter that the list does not take."""
    lists = {"ids", *_FILTERS.get(resource, {})}
    known = {"per_page", "created_at", "updated_at", *lists, *({"current_only"} if resource == "offers" else ())}
    for name, value in query.items():
        ids = value.split(",")
        is_bad_list = name in lists and (len(ids) > 50 or not all(one.isdigit() for one in ids))
        is_bad_size = name == "per_page" and not (value.isdigit() and 1 <= int(value) <= 500)
        if name not in known or is_bad_list or is_bad_size or (name.endswith("_at") and not _range(value)):
            return name
    return None


def _range(value: str) -> tuple[str, datetime] | None:
    """An operator and an instant, as in ``gte|2026-01-01T00:00:00Z``."""
    operator, _, instant = value.partition("|")
    try:
        return (operator, datetime.fromisoformat(instant)) if operator in {"gte", "lte", "gt", "lt"} else None
    except ValueError:
        return None


def _matches(row: Mapping[str, Any], listing: _Listing) -> bool:
    columns = {"ids": "id", **_FILTERS.get(listing.resource, {})}
    for name, value in listing.query.items():
        if name in columns and str(row[columns[name]]) not in value.split(","):
            return False
        if name.endswith("_at") and (bound := _range(value)) and not _within(datetime.fromisoformat(row[name]), *bound):
            return False
    return True


def _within(instant: datetime, operator: str, bound: datetime) -> bool:
    return {"gte": instant >= bound, "gt": instant > bound, "lte": instant <= bound, "lt": instant < bound}[operator]


def _fault(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def _field(name: str, kind: str, value: object) -> dict[str, object]:
    return {"name": name, "type": kind, "value": value}


def _job() -> dict[str, object]:
    return {
        "name": "Field Engineer",
        "requisition_id": "REQ-7",
        "notes": None,
        "confidential": False,
        "status": "open",
        "opened_at": "2026-01-05T09:00:00.000Z",
        "closed_at": None,
        "is_template": False,
        "copied_from_id": None,
        "department_id": 3,
        "office_ids": [13],
        "custom_fields": {},
    }


def _candidate(n: int) -> dict[str, object]:
    return {
        "first_name": "Ada",
        "last_name": f"Lovelace {n}",
        "preferred_name": None,
        "company": None,
        "title": None,
        "last_activity_at": None,
        "private": False,
        "can_email": True,
        "time_zone": "America/New_York",
        "tags": [],
        "linked_user_ids": [],
        "phone_numbers": [],
        "addresses": [],
        "website_addresses": [],
        "social_media_addresses": [],
        "email_addresses": [{"value": f"ada{n}@home.example", "type": "personal"}],
        "custom_fields": {},
    }


def _application(candidate_id: int, job_id: int) -> dict[str, object]:
    nobody = dict.fromkeys(("agency_note_id", "coordinator_id", "job_post_id", "recruiter_id", "referrer_id", "source_id"))
    return {
        **nobody,
        "candidate_id": candidate_id,
        "job_id": job_id,
        "stage_id": 88,
        "stage_name": "Offer",
        "status": "in_process",
        "needs_decision": False,
        "prospect": False,
        "rejected_at": None,
        "last_activity_at": None,
        "location_address": None,
        "answers": [],
        "prospective_job_ids": [],
        "custom_fields": {},
    }


def _opening(application_id: int) -> dict[str, object]:
    return {
        "job_id": 500,
        "opened_at": "2026-01-05T09:00:00.000Z",
        "closed_at": "2026-02-01T10:00:00.000Z",
        "sort_order": 1,
        "opening_id": "POS-12",
        "application_id": application_id,
        "close_reason_id": None,
        "target_start_on": None,
        "open": False,
        "custom_fields": {},
    }


def _offer(application_id: int, candidate_id: int, opening_id: int, employment_type: str) -> dict[str, object]:
    kind = _field("Employment Type", "single_select", employment_type)
    return {
        "version": 1,
        "application_id": application_id,
        "job_id": 500,
        "candidate_id": candidate_id,
        "opening_id": opening_id,
        "status": "Accepted",
        "starts_on": "2026-03-02",
        "sent_on": "2026-02-01",
        "resolved_at": "2026-02-02T12:00:00.000Z",
        "custom_fields": {"employment_type": kind},
    }
