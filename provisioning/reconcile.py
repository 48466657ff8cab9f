"""What an account shows, held against what should be: classified, and nothing more. Pure.

A deviation is reported once it cannot be work under way any more: what was wanted or unwanted a moment ago is the joiner's or the
leaver's. Whoever calls has read the account *before* the ledger, so that what changed in between is not taken for drift twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from provisioning.desired import DesiredAccess, Support, desired_access
from provisioning.policies import Drift, ReconciliationPolicy
from workforce.access import SIGN_IN, AccountState, Entitlement, EntitlementKind, LastChange

UNDER_WAY = timedelta(hours=1)
"""What was wanted or unwanted less long ago than this may still be being done."""
ENDING_UNDER_WAY = timedelta(seconds=60)
"""The same for blocking sign-in, which is what revocation promises."""
ACCOUNT = "account"
EXPIRY, MARKER = "expiry", "marker"
_SAME_INSTANT = timedelta(seconds=1)
_UNTOLD = "the directory does not tell"


class Trigger(StrEnum):
    """Why an account most likely has no engagement: which event never came, or that there was none to come."""

    NO_START = "no start event was seen"
    END_MISSED = "the end was missed"
    DELETED_AT_SOURCE = "the work order was withdrawn or deleted at its source"
    MADE_ELSEWHERE = "somebody else made it"


class Mend(StrEnum):
    """How a finding is mended."""

    JOIN = "join"
    LEAVE = "leave"
    REMOVE = "remove"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Expected:
    """A person as the ledger knows them, as regards one directory.

    ``supports``: what each engagement that is cleared or active, not ending and not suspended wants there. ``proven``: what of it was read
    back before. ``under_way``: what was wanted or unwanted too recently to judge. ``owner`` is the engagement that a finding is about,
    ``ending`` the newest one with access here that is ending or has ended, since ``ending_since``. ``trigger`` is what was most likely
    missed, should an account have no engagement.
    """

    worker_id: UUID
    marker: str
    account_id: str | None
    supports: tuple[Support, ...] = ()
    given: frozenset[Entitlement] = frozenset()
    proven: frozenset[Entitlement] = frozenset()
    under_way: frozenset[Entitlement] = frozenset()
    owner: UUID | None = None
    ending: UUID | None = None
    ending_since: datetime | None = None
    has_standing: bool = False
    trigger: Trigger = Trigger.NO_START

    def desired(self, now: datetime) -> DesiredAccess:
        """What the person should have now."""
        return desired_access(self.supports, now=now)

    def is_ending_now(self, now: datetime) -> bool:
        """Whether the ending began so recently that the leaver may still be at it."""
        return self.ending_since is not None and now - self.ending_since < ENDING_UNDER_WAY


@dataclass(frozen=True, slots=True)
class Evidence:
    """What else is known of an account that deviates: the expiry that we wrote last, which attributes differ from what we wrote, by whom."""

    expiry_written: datetime | None = None
    attributes: tuple[str, ...] = ()
    last_change: LastChange | None = None
    tells_who: bool = False

    def details(self) -> dict[str, object]:
        """Who changed the account last and when, or why nobody is named."""
        if self.last_change is None:
            return {"by": None, "why": "the last change was not a hand's, or is not kept" if self.tells_who else _UNTOLD}
        told: dict[str, object] = {"by": self.last_change.by, "at": self.last_change.at.isoformat()}
        return told if self.last_change.by else {**told, "why": _UNTOLD}


@dataclass(frozen=True, slots=True)
class Found:
    """One deviation. ``subject`` is the entitlement or the field; ``details`` hold ids and words, no personal data."""

    drift: Drift
    subject: str
    worker_id: UUID | None = None
    engagement_id: UUID | None = None
    details: Mapping[str, object] = field(default_factory=dict)


def classify(
    account: AccountState,
    expected: Expected | None,
    policy: ReconciliationPolicy,
    *,
    now: datetime,
    evidence: Evidence | None = None,
) -> list[Found]:
    """Everything that is wrong with an account that is ours (see ``is_ours``), or that the ledger links to ``expected``.

    Other accounts are nobody's business here. Without ``evidence`` a change by hand is told as ``CHANGED``.
    """
    if expected is None:
        return [_orphan(account, Trigger.NO_START if account.marker else Trigger.MADE_ELSEWHERE)] if is_ours(account) else []
    if expected.account_id not in {None, account.account_id}:
        return list(_of_second(account, expected, now))
    desired = expected.desired(now)
    found = [*_of_sign_in(account, expected, desired, now, evidence), *_of_entitlements(account, expected, desired)]
    if expected.has_standing:
        found += _of_fields(account, expected, desired, evidence)
    if account.enabled and desired.enabled:
        found += _of_use(account, expected, policy, now)
    return found


def is_ours(account: AccountState) -> bool:
    """Whether an account should have an engagement: it carries a marker of ours, or lies where all are of our making."""
    return account.marker is not None or account.managed


def account_missing(expected: Expected, *, now: datetime) -> Found | None:
    """What it means that the directory shows no account of this person; ``None`` where there need not be one (yet)."""
    desired = expected.desired(now)
    wanted = any(SIGN_IN in support.entitlements for support in expected.supports)
    if not wanted or desired.expires_at is None or SIGN_IN in expected.under_way:
        return None
    return Found(Drift.MISSING, ACCOUNT, expected.worker_id, expected.owner, {"read_back_before": SIGN_IN in expected.proven})


def mend_of(drift: Drift, policy: ReconciliationPolicy) -> Mend | None:
    """How a finding may be mended without a person; ``None``: it may not. Who is tombstoned and enabled is always blocked."""
    if drift is Drift.TOMBSTONED_ENABLED:
        return Mend.LEAVE
    return _MENDS.get(drift) if drift in policy.mend else None


_MENDS = {
    Drift.MISSING: Mend.JOIN,
    Drift.CHANGED: Mend.JOIN,
    Drift.CHANGED_BY_HAND: Mend.JOIN,
    Drift.EXTRA: Mend.REMOVE,
    Drift.UNEXPECTED_ENABLED: Mend.BLOCK,
}
"""Orphans and dormant accounts are a person's to decide about, whatever the policy says."""


def _orphan(account: AccountState, trigger: Trigger, expected: Expected | None = None, subject: str = ACCOUNT) -> Found:
    details = {"likely": trigger.value, "enabled": account.enabled}
    if expected is None:
        return Found(Drift.ORPHAN, subject, details=details)
    return Found(Drift.ORPHAN, subject, expected.worker_id, expected.owner, details)


def _of_second(account: AccountState, expected: Expected, now: datetime) -> Iterator[Found]:
    """An account that carries the marker of somebody whose account is another."""
    yield _orphan(account, Trigger.NO_START, expected, "second account")
    if account.enabled and expected.ending is not None and not expected.desired(now).enabled:
        yield _still_enabled(expected)


def _of_sign_in(
    account: AccountState, expected: Expected, desired: DesiredAccess, now: datetime, evidence: Evidence | None
) -> Iterator[Found]:
    if desired.enabled and not account.enabled and SIGN_IN not in expected.under_way:
        drift = _by_hand(evidence) if SIGN_IN in expected.proven else Drift.MISSING
        yield _found(drift, str(SIGN_IN), expected, evidence, blocked=True)
    if account.enabled and not desired.enabled:
        if expected.ending is not None:
            if not expected.is_ending_now(now):
                yield _still_enabled(expected)
        elif expected.has_standing:
            yield _found(Drift.UNEXPECTED_ENABLED, str(SIGN_IN), expected, evidence, why="it has not started, or is suspended")
        else:
            yield _orphan(account, expected.trigger, expected)


def _still_enabled(expected: Expected) -> Found:
    return Found(
        Drift.TOMBSTONED_ENABLED, str(SIGN_IN), expected.worker_id, expected.ending, {"since": str(expected.ending_since)}
    )


def _of_entitlements(account: AccountState, expected: Expected, desired: DesiredAccess) -> Iterator[Found]:
    """A licence that comes through a group is nobody's to take from the account, so it is never too much."""
    for each in sorted(desired.entitlements - account.entitlements - expected.under_way - {SIGN_IN}):
        yield Found(
            Drift.MISSING,
            str(each),
            expected.worker_id,
            expected.owner,
            {**_named(each), "read_back_before": each in expected.proven},
        )
    inherited = {Entitlement(EntitlementKind.LICENCE, each) for each in account.inherited_licences - account.licences}
    for each in sorted(account.entitlements - desired.entitlements - expected.under_way - inherited - {SIGN_IN}):
        yield Found(
            Drift.EXTRA, str(each), expected.worker_id, expected.owner, {**_named(each), "given_by_us": each in expected.given}
        )


def _of_fields(account: AccountState, expected: Expected, desired: DesiredAccess, evidence: Evidence | None) -> Iterator[Found]:
    """The fields that are ours: the marker, the native expiry, and what a mapping wrote."""
    if account.marker != expected.marker:
        yield _found(_by_hand(evidence), MARKER, expected, evidence)
    if _differs(account, desired) and SIGN_IN not in expected.under_way:
        ours = evidence is not None and (evidence.expiry_written is None or evidence.expiry_written == desired.expires_at)
        drift = Drift.CHANGED_BY_HAND if ours else Drift.CHANGED
        yield _found(drift, EXPIRY, expected, evidence, shown=str(account.expires_at), wanted=str(desired.expires_at))
    for name in evidence.attributes if evidence else ():
        yield _found(Drift.CHANGED_BY_HAND, name, expected, evidence)


def _of_use(account: AccountState, expected: Expected, policy: ReconciliationPolicy, now: datetime) -> Iterator[Found]:
    if _is_dormant(account, policy, now):
        yield _found(Drift.DORMANT, str(SIGN_IN), expected, None, last_sign_in=str(account.last_sign_in))


def _is_dormant(account: AccountState, policy: ReconciliationPolicy, now: datetime) -> bool:
    return account.last_sign_in is not None and now - account.last_sign_in > timedelta(days=policy.dormant_after_days)


def _differs(account: AccountState, desired: DesiredAccess) -> bool:
    if not account.keeps_expiry or desired.expires_at is None:
        return False
    return account.expires_at is None or abs(account.expires_at - desired.expires_at) >= _SAME_INSTANT


def _by_hand(evidence: Evidence | None) -> Drift:
    """What was read back before, and is otherwise now, somebody else changed; to say so it has to be looked at closely."""
    return Drift.CHANGED if evidence is None else Drift.CHANGED_BY_HAND


def _found(drift: Drift, subject: str, expected: Expected, evidence: Evidence | None, **details: object) -> Found:
    who = evidence.details() if evidence is not None and drift is Drift.CHANGED_BY_HAND else {}
    return Found(drift, subject, expected.worker_id, expected.owner, {**details, **who})


def _named(entitlement: Entitlement) -> dict[str, object]:
    return {"kind": entitlement.kind.value, "id": entitlement.id}
