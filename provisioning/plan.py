"""The plan for one directory: desired minus actual, as a list of changes. Simulation and execution share it."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.guards import require_touchable
from workforce.access import AccountState, DesiredAccount
from workforce.effects import EffectKind


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one account. ``detail`` is the group of a membership, or the expiry instant (ISO, UTC)."""

    kind: EffectKind
    detail: str = ""


def plan_access(desired: DesiredAccount, actual: AccountState) -> list[Change]:
    """What turns ``actual`` into ``desired``: expiry first (it fails safe), then sign-in, then groups.

    Groups that nobody asked for are left alone here; taking them away is reconciliation's decision. Raises ``Refused`` for
    protected accounts and for accounts that do not carry the worker's marker.
    """
    require_touchable(actual, marker=desired.marker)
    changes = []
    if actual.keeps_expiry and actual.expires_at != desired.expires_at:
        changes.append(Change(EffectKind.SET_EXPIRY, desired.expires_at.isoformat()))
    if not actual.enabled:
        changes.append(Change(EffectKind.ENABLE_ACCOUNT))
    changes += [Change(EffectKind.ADD_MEMBER, group) for group in sorted(desired.groups - actual.groups)]
    return changes


def plan_removal(actual: AccountState, *, marker: str, entitled: frozenset[str]) -> list[Change]:
    """The memberships to remove after sign-in is blocked: what the engagement was entitled to and still has."""
    require_touchable(actual, marker=marker)
    return [Change(EffectKind.REMOVE_MEMBER, group) for group in sorted(actual.groups & entitled)]
