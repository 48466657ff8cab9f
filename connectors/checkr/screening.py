"""Order a check at Checkr, and tell what came of it.

An order is one candidate of its own, whose ``custom_id`` is our marker, and the invitation sent to that candidate; its id is the candidate's,
because every report and every event names it, however often the invitation is sent again. Nothing here rejects anybody: adverse action is
a legal procedure (FCRA) that people run in Checkr.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from connectors.checkr.client import CheckrClient
from connectors.checkr.records import Candidate, Invitation, Report
from connectors.records.instants import instant_text
from workforce.errors import NotFound, Refused
from workforce.screening import ScreeningOrder, ScreeningState, ScreeningVerdict

P = TypeVar("P", Report, Invitation)
SETTLING = timedelta(minutes=10)
"""For so long after its candidate was made an order without an invitation may just not show it yet."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_NAME = re.compile(r"[a-zA-Z0-9ªµºÀ-ÖØ-öø-ÿ\-'., ]+")  # the description's alphabet
_CAREFUL_LAST = (ScreeningVerdict.PENDING, ScreeningVerdict.CLEAR, ScreeningVerdict.CANCELED, ScreeningVerdict.REVIEW)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an order has come: its newest report, before there is one its newest invitation."""

    report: Report | None = None
    invitation: Invitation | None = None

    @classmethod
    def of(cls, client: CheckrClient, candidate: Candidate) -> Progress:
        """The progress of ``candidate``. Raises ``NotFound``."""
        if candidate.report_ids:
            return cls(report=_newest(client.report(one) for one in candidate.report_ids))
        invitations = client.invitations(candidate.id)
        return cls(invitation=_newest(invitations)) if invitations else cls()

    @property
    def verdict(self) -> ScreeningVerdict | None:
        """What it means to us; ``None`` while nothing shows."""
        if self.report is not None:
            return verdict_of(self.report)
        if self.invitation is None:
            return None
        if self.invitation.deleted_at is not None:
            return ScreeningVerdict.CANCELED
        is_under_way = self.invitation.status in {"pending", "completed"}
        return ScreeningVerdict.PENDING if is_under_way else ScreeningVerdict.REVIEW  # expired: nothing came of it

    @property
    def status(self) -> str:
        """Checkr's own word, and of what."""
        if self.report is not None:
            return f"report.{self.report.status}"
        return f"invitation.{self.invitation.status}" if self.invitation is not None else "invitation.none"


def verdict_of(report: Report) -> ScreeningVerdict:
    """``complete`` is not "passed": only a clear result of every part, or a person's decision to engage, clears.

    What is not known is for a person to look at.
    """
    if report.status == "canceled":
        return ScreeningVerdict.CANCELED
    if report.adjudication not in {None, "engaged"} or report.status not in {"pending", "complete"}:
        return ScreeningVerdict.REVIEW
    if report.status == "pending":
        return ScreeningVerdict.PENDING
    if report.adjudication == "engaged":
        return ScreeningVerdict.CLEAR
    is_clear = report.result == "clear" and not report.includes_canceled and report.assessment in {None, "eligible"}
    return ScreeningVerdict.CLEAR if is_clear else ScreeningVerdict.REVIEW


class CheckrScreening:
    """The ``Screening`` capability."""

    def __init__(self, client: CheckrClient) -> None:
        self._client = client

    def find(self, marker: str) -> Sequence[str]:
        """The candidates that carry ``marker`` and were invited: one that was only made is no order yet."""
        return [one.id for one in self._client.candidates_with(marker) if self._is_ordered(one)]

    def order(self, order: ScreeningOrder) -> str:
        """Make the candidate and invite; the candidate's id. What an earlier call with the same marker left is taken up again.

        Checkr sends the invitation by e-mail. Names with letters that it does not take are left for the candidate to fill in. Raises
        ``Refused`` (causes ``missing_region``, ``unknown_package``, ``duplicate_candidate``, ``duplicate_report``), ``OutcomeUnknown``.
        """
        place = _place_of_work(order)
        made = self._client.candidates_with(order.marker)
        if ordered := next((one.id for one in made if self._is_ordered(one)), None):
            return ordered
        candidate_id = made[0].id if made else self._make_candidate(order, place)
        node = {"node": self._client.settings.node} if self._client.settings.node else {}
        invitation = {"candidate_id": candidate_id, "package": order.package, "work_locations": [place], **node}
        self._client.post("/invitations", invitation, key=f"{order.marker}-invitation")
        return candidate_id

    def status(self, order_id: str) -> ScreeningState:
        """The order as it is now. Raises ``NotFound``.

        ``order_id`` may also be the ``reports/…`` or ``invitations/…`` of an event without its object; the answer names the order. Checkr
        keeps no time of its changes, so the version is when it answered, and within one second the more careful reading counts as later.
        """
        candidate, read_at = self._client.candidate(self._candidate_id(order_id))
        progress = Progress.of(self._client, candidate)
        without = ScreeningVerdict.PENDING if may_still_show(candidate, read_at) else ScreeningVerdict.REVIEW
        verdict = progress.verdict or without
        report = progress.report
        return ScreeningState(
            order_id=candidate.id,
            verdict=verdict,
            version=f"{instant_text(read_at)}/{_CAREFUL_LAST.index(verdict)}",
            status=progress.status,
            result=(report.adjudication or report.result) if report is not None else None,
            report_id=report.id if report is not None else None,
            completed_at=report.completed_at if report is not None else None,
        )

    def _is_ordered(self, candidate: Candidate) -> bool:
        return bool(candidate.report_ids) or bool(self._client.invitations(candidate.id))

    def _make_candidate(self, order: ScreeningOrder, place: dict[str, str]) -> str:
        names = {"first_name": order.given_name, "last_name": order.family_name}
        usable = {name: text for name, text in names.items() if _NAME.fullmatch(text) and (len(text) > 1 or name == "first_name")}
        fields = {"email": order.email, "custom_id": order.marker, "work_locations": [place], **usable}
        return self._client.post("/candidates", fields, key=f"{order.marker}-candidate")

    def _candidate_id(self, order_id: str) -> str:
        kind, _, part_id = order_id.partition("/")
        if not part_id:
            return order_id
        if kind == "invitations":
            return self._client.invitation(part_id).candidate_id
        candidate_id = self._client.report(part_id).candidate_id if kind == "reports" else None
        if candidate_id is None:
            raise NotFound(f"checkr: {kind} {part_id} belongs to no candidate", field="order_id")
        return candidate_id


def _place_of_work(order: ScreeningOrder) -> dict[str, str]:
    if not order.region:
        raise Refused("checkr: region is missing: every place of work needs one", cause="missing_region", field="region")
    return {"country": order.country, "state": order.region, **({"city": order.city} if order.city else {})}


def may_still_show(candidate: Candidate, read_at: datetime) -> bool:
    """Whether an invitation that does not show may be too new to. Later on somebody took it back: the list does not show that either."""
    return candidate.created_at is not None and read_at - candidate.created_at < SETTLING


def _newest(parts: Iterable[P]) -> P:
    return max(parts, key=lambda part: part.created_at or _EARLIEST)
