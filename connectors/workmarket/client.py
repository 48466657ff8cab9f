"""The wire to WorkMarket: token, envelope, assignments. Nearly every parameter of a POST travels in the query, also of writes.

The edge logs no query. Source: the vendor's Employer API description, v1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import Dialect, json_object
from connectors.records.instants import utc_now
from connectors.wire.tokens import Expiry, GrantedToken, TokenCache, TokenEndpoint
from connectors.workmarket.records import SYSTEM, Assignment, Created, Envelope, Listing, parse, reading, reason, verdict
from connectors.workmarket.settings import WorkMarketSettings
from workforce.errors import Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult

TOKEN_PATH = "/v1/employer/authorization/request"  # noqa: S105 - a path
ASSIGNMENTS = "/v1/employer/assignments"
Params = Mapping[str, str]


class WorkMarketClient:
    """One company. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(
        self, settings: WorkMarketSettings, around: Surroundings = ALONE, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.settings, self.now = settings, now
        reach = around.reach(settings)
        lifetime = Expiry(settings.token_lifetime_seconds)  # the vendor does not tell
        self._sign_in = TokenEndpoint(settings.base_url, SYSTEM, reach, field="api_secret", expiry=lifetime)
        tokens = TokenCache(self._granted, early_seconds=60)
        dialect = Dialect(SYSTEM, verdict, reason)
        self._edge = tokens.edge(settings.base_url, dialect, reach)

    @faults_as_result
    def check(self) -> CheckResult:
        """Get a token and ask for the company's statuses; one that the settings do not know is no fault."""
        self._read(f"{ASSIGNMENTS}/statuses")
        return CheckResult(ok=True, detail=f"{SYSTEM}: {self.settings.base_url} answers")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        self._sign_in.close()

    def updated(self, since: int, start: int) -> tuple[Listing, int]:
        """Assignments modified at or after ``since``, newest first, from offset ``start``; and the vendor's clock."""
        params = {"modified_since": str(since), "start": str(start), "limit": str(self.settings.page_size), "sort_dir": "desc"}
        envelope = self._read(f"{ASSIGNMENTS}/list_updated", params)
        listing, clock = parse(Listing, envelope.response), envelope.meta.timestamp
        clock = self.ticks(self.now()) if clock is None else clock
        for moment in (clock, *(item.last_modified_on for item in listing.data)):
            self._require_unit(moment)
        return listing, clock

    def values(self, assignment_id: str) -> dict[str, Any]:
        """All fields of the assignment as it is now. Raises ``NotFound``."""
        values = self._read(f"{ASSIGNMENTS}/get", {"id": assignment_id}).response
        if not isinstance(values, dict):
            raise RetryLater(f"{SYSTEM}: the answer holds no assignment", cause="unreadable_answer")
        if str(values.get("id")) != assignment_id:
            raise NotFound(f"{SYSTEM}: there is no assignment {assignment_id}", field="id")
        return values

    def assignment(self, assignment_id: str) -> tuple[Assignment, dict[str, Any]]:
        """The assignment as it is now, and all its fields. Raises ``NotFound``."""
        values = self.values(assignment_id)
        assignment = parse(Assignment, values)
        self._require_unit(assignment.last_modified_on)
        return assignment, values

    def create(self, params: Params) -> str:
        """Create an assignment; its id. Raises ``Refused``, ``OutcomeUnknown``."""
        created = reading.written(Created, self._write(f"{ASSIGNMENTS}/create", params))
        if created.id is not None and created.successful:
            return created.id
        if created.id is None and not created.successful:
            raise Refused(f"{SYSTEM}: the creation was not successful; look at the template and its fields", cause="unsuccessful")
        raise OutcomeUnknown(f"{SYSTEM}: the creation's answer tells a half of it", cause="half_done")

    def change(self, path: str, params: Params) -> None:
        """Send a change to ``path`` below the assignments. Raises ``Refused``, ``NotFound``, ``OutcomeUnknown``."""
        answer = self._write(f"{ASSIGNMENTS}/{path}", params)
        if not isinstance(answer, dict) or not isinstance(answer.get("successful"), bool):
            raise OutcomeUnknown(f"{SYSTEM}: the answer does not tell whether it was done", cause="unreadable_answer")
        if not answer["successful"]:
            action = path.rpartition("/")[2]
            raise Refused(f"{SYSTEM}: {action} was not successful; look at the assignment's status", cause="unsuccessful")

    def ticks(self, moment: datetime) -> int:
        """An instant in the vendor's unit."""
        return int(moment.timestamp() * self.settings.ticks_per_second)

    def moment(self, ticks: int) -> datetime:
        """The instant of a time of the vendor's."""
        return datetime.fromtimestamp(ticks / self.settings.ticks_per_second, UTC)

    def _require_unit(self, ticks: int) -> None:
        """A time far from now shows that the unit is wrong, and everything would be read as long past or still to come."""
        try:
            year = self.moment(ticks).year
        except (ValueError, OverflowError, OSError):
            year = 0
        if not 1990 <= year <= 2200:
            message = f"time_unit: {SYSTEM} does not give times in {self.settings.time_unit}; choose the other unit"
            raise Misconfigured(message, cause="wrong_unit", field="time_unit")

    def _read(self, path: str, params: Params | None = None) -> Envelope:
        return parse(Envelope, self._edge.read_object("GET", path, params=dict(params or {})))

    def _write(self, path: str, params: Params) -> Any:
        return json_object(self._edge.write("POST", path, params=dict(params)), SYSTEM).get("response")

    def _granted(self) -> GrantedToken:
        settings = self.settings
        secrets = {"token": settings.api_token.get_secret_value(), "secret": settings.api_secret.get_secret_value()}
        answer = self._sign_in.ask(TOKEN_PATH, params=secrets)
        envelope = parse(Envelope, answer)
        if isinstance(envelope.response, dict) and "access_token" in envelope.response:
            return self._sign_in.granted(envelope.response)
        if "meta" not in answer or envelope.meta.is_refusal:
            message = f"{SYSTEM}: it gives no access token for api_token and api_secret; renew them in WorkMarket"
            raise Misconfigured(message, cause="token_refused", field="api_secret")
        raise RetryLater(f"{SYSTEM}: the sign-in's answer holds no token", cause="unreadable_answer")
