"""Who let an engagement have an access package. A package with approvers gives nothing before one of them has approved that version."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar
from uuid import UUID

from ledger import engagement_rows
from ledger.access import grants
from ledger.database import Row, Tx
from ledger.identity.people import address_digest, own_addresses
from ledger.trail import audit
from workforce.errors import NotFound, Refused
from workforce.events import HUB, Actor, Outcome


class ApprovalState(StrEnum):
    """What was decided. A decision may be changed by an approver; every one is audited."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"


class Approvable(Protocol):
    """One version of a package, as far as it matters here."""

    @property
    def package(self) -> str:
        """Its name."""
        ...

    @property
    def version(self) -> int:
        """Its number."""
        ...

    @property
    def approvers(self) -> Collection[str]:
        """The addresses of those who may approve it; nobody: it needs no approval."""
        ...


P = TypeVar("P", bound=Approvable)


@dataclass(frozen=True, slots=True)
class Approval:
    """One version of one package that was asked for, for one engagement. ``decided_by`` is an address."""

    engagement_id: UUID
    package: str
    version: int
    state: ApprovalState
    asked_at: datetime
    told_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the person at ``by`` (an address) says of a version of a package for an engagement. A refusal needs a ``reason``."""

    engagement_id: UUID
    package: str
    version: int
    approved: bool
    by: str
    reason: str | None = None

    @property
    def state(self) -> ApprovalState:
        """What the approval is then."""
        return ApprovalState.APPROVED if self.approved else ApprovalState.DECLINED


def granted(tx: Tx, engagement_id: UUID, packages: Iterable[P]) -> list[P]:
    """Those of ``packages`` that may be given to the engagement now; the others are asked for, unless they were already."""
    may = []
    for package in packages:
        if not package.approvers or _is_approved(tx, engagement_id, package):
            may.append(package)
        else:
            ask(tx, engagement_id, package.package, package.version)
    return may


def may_be_given(tx: Tx, engagement_id: UUID, packages: Iterable[P]) -> list[P]:
    """The same for whoever only looks: nothing is asked for."""
    return [package for package in packages if not package.approvers or _is_approved(tx, engagement_id, package)]


def reason(tx: Tx, engagement_id: UUID, package: Approvable) -> dict[str, object]:
    """Why the engagement is given ``package``, as a grant keeps it: package, version and, where it was approved, by whom and when."""
    told: dict[str, object] = {"package": package.package, "version": package.version}
    for each in state(tx, engagement_id) if package.approvers else ():
        if (each.package, each.version, each.state) == (package.package, package.version, ApprovalState.APPROVED):
            told |= {"approved_by": each.decided_by, "approved_at": each.decided_at and each.decided_at.isoformat()}
    return told


def ask(tx: Tx, engagement_id: UUID, package: str, version: int, *, again: bool = False) -> bool:
    """Ask for an approval, audited. Asked for already: nothing changes, and the answer is false; ``again`` asks once more after a refusal."""
    asked = tx.execute(
        """
        INSERT INTO access_approvals (tenant, engagement_id, package, version, state)
        VALUES (%(tenant)s, %(engagement_id)s, %(package)s, %(version)s, 'waiting')
        ON CONFLICT (tenant, engagement_id, package, version) DO UPDATE
        SET state = 'waiting', asked_at = clock_timestamp(), told_at = NULL, decided_at = NULL, decided_by = NULL, reason = NULL
        WHERE %(again)s AND access_approvals.state = 'declined'
        """,
        tenant=tx.tenant,
        engagement_id=engagement_id,
        package=package,
        version=version,
        again=again,
    )
    if asked:
        _note(tx, "approval.asked", get(tx, engagement_id, package, version), HUB, Outcome.PENDING)
    return bool(asked)


def decide(tx: Tx, decision: Decision, *, approvers: Collection[str], email_domain: str, actor: Actor) -> Approval:
    """Write the decision down, audited. The same one again changes nothing.

    Raises ``Refused``: causes ``not_an_approver``, ``own_request`` (the sponsor or the contractor themselves), ``no_reason``, ``ending``;
    ``NotFound`` where nothing was asked for.
    """
    engagement = engagement_rows.lock(tx, decision.engagement_id)
    known = get(tx, decision.engagement_id, decision.package, decision.version)
    own = {engagement.terms.sponsor_email.casefold(), *own_addresses(tx, engagement, email_domain)}
    if engagement.tombstoned_at is not None:
        raise Refused(f"engagement {engagement.id} is ending: there is nothing to approve", cause="ending")
    _require_approver(decision, approvers, own)
    if known.state is decision.state:
        return known
    tx.execute(
        """
        UPDATE access_approvals
        SET state = %(state)s, decided_at = clock_timestamp(), decided_by = %(decided_by)s, reason = %(reason)s
        WHERE engagement_id = %(engagement_id)s AND package = %(package)s AND version = %(version)s
        """,
        state=decision.state,
        decided_by=decision.by,
        reason=decision.reason,
        engagement_id=known.engagement_id,
        package=known.package,
        version=known.version,
    )
    decided = get(tx, known.engagement_id, known.package, known.version)
    if not decision.approved:
        _want_no_more(tx, decided)
    _note(tx, f"approval.{decided.state}", decided, actor, was=known.state, decided_by_sha256=address_digest(decision.by))
    return decided


def get(tx: Tx, engagement_id: UUID, package: str, version: int | None = None) -> Approval:
    """What is known of a version of a package, or of the version that was asked for last. Raises ``NotFound`` naming what was asked for."""
    asked = [each for each in state(tx, engagement_id) if each.package == package and version in {None, each.version}]
    if not asked:
        known = ", ".join(f"{each.package} v{each.version}" for each in state(tx, engagement_id)) or "nothing"
        raise NotFound(
            f"no approval of {package!r} was asked for; for this engagement there was: {known}; what waits: stint access approvals",
            field="package",
        )
    return asked[-1]


def state(tx: Tx, engagement_id: UUID) -> list[Approval]:
    """Everything that was asked for, for one engagement, by package; what was asked last comes last."""
    rows = tx.all(
        "SELECT * FROM access_approvals WHERE engagement_id = %(id)s ORDER BY package, asked_at, version", id=engagement_id
    )
    return [_approval(row) for row in rows]


def waiting(tx: Tx) -> list[Approval]:
    """What waits for an approver, the oldest first. What an ending has overtaken waits for nobody."""
    rows = tx.all(
        """
        SELECT access_approvals.* FROM access_approvals
        JOIN engagements ON engagements.tenant = access_approvals.tenant AND engagements.id = engagement_id
        WHERE access_approvals.state = 'waiting' AND tombstoned_at IS NULL AND engagements.state <> ALL(%(over)s)
        ORDER BY asked_at, engagement_id, package, version
        """,
        over=["declined", "cancelled", "ended"],
    )
    return [_approval(row) for row in rows]


def withdraw_others(tx: Tx, engagement_id: UUID, package: str, version: int) -> int:
    """Nobody has to decide about other versions of the package any more: another one was asked for; how many waited."""
    return tx.execute(
        """
        UPDATE access_approvals SET state = 'declined', decided_at = clock_timestamp(), reason = %(reason)s
        WHERE engagement_id = %(engagement_id)s AND package = %(package)s AND version <> %(version)s AND state = 'waiting'
        """,
        reason=f"version {version} was asked for instead",
        engagement_id=engagement_id,
        package=package,
        version=version,
    )


def told(tx: Tx, approval: Approval) -> None:
    """Note that the approvers were told."""
    tx.execute(
        """
        UPDATE access_approvals SET told_at = clock_timestamp()
        WHERE engagement_id = %(engagement_id)s AND package = %(package)s AND version = %(version)s AND told_at IS NULL
        """,
        engagement_id=approval.engagement_id,
        package=approval.package,
        version=approval.version,
    )


def _want_no_more(tx: Tx, declined: Approval) -> None:
    """What the version gave, when it was approved before, is not wanted any more; what an earlier one gave stays."""
    version = (declined.package, declined.version)
    wanted = grants.wanted_of(tx, declined.engagement_id)
    gone = [grant.id for grant in wanted if (grant.reason.get("package"), grant.reason.get("version")) == version]
    grants.unwant(tx, declined.engagement_id, gone, because="approval_withdrawn")


def _require_approver(decision: Decision, approvers: Collection[str], own: Collection[str]) -> None:
    if decision.by.casefold() not in {approver.casefold() for approver in approvers}:
        known = ", ".join(approvers) or "nobody; it needs no approval"
        raise Refused(
            f"{decision.by} is not an approver of {decision.package}; approvers: {known}", cause="not_an_approver", field="as"
        )
    if decision.by.casefold() in own:
        message = (
            f"{decision.by} asked for this engagement or is the contractor: another approver of {decision.package} has to decide"
        )
        raise Refused(message, cause="own_request", field="as")
    if not decision.approved and not (decision.reason or "").strip():
        raise Refused("declining needs a reason", cause="no_reason", field="reason")


def _is_approved(tx: Tx, engagement_id: UUID, package: Approvable) -> bool:
    return any(
        (each.package, each.version, each.state) == (package.package, package.version, ApprovalState.APPROVED)
        for each in state(tx, engagement_id)
    )


def _note(tx: Tx, action: str, approval: Approval, actor: Actor, outcome: Outcome = Outcome.SUCCESS, **details: object) -> None:
    audit.note(
        tx,
        action,
        target=None,
        actor=actor,
        outcome=outcome,
        engagement_id=approval.engagement_id,
        system=None,
        reason_code=None,
        package=approval.package,
        version=approval.version,
        **details,
    )


def _approval(row: Row) -> Approval:
    names = ("engagement_id", "package", "version", "asked_at", "told_at", "decided_at", "decided_by", "reason")
    return Approval(state=ApprovalState(row["state"]), **{name: row[name] for name in names})
