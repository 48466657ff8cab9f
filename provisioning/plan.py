"""The plan for one account: desired minus actual, as a list of changes. Simulation and execution share it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from provisioning.guards import require_touchable
from workforce.access import AccountState, DesiredAccount, Entitlement, EntitlementKind, ids_of
from workforce.effects import EffectKind

_GIVE = {
    EntitlementKind.GROUP: EffectKind.ADD_MEMBER,
    EntitlementKind.LICENCE: EffectKind.ASSIGN_LICENCE,
    EntitlementKind.APP_ROLE: EffectKind.ASSIGN_APP_ROLE,
}
_TAKE = {
    EntitlementKind.GROUP: EffectKind.REMOVE_MEMBER,
    EntitlementKind.LICENCE: EffectKind.RECLAIM_LICENCE,
    EntitlementKind.APP_ROLE: EffectKind.REMOVE_APP_ROLE,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one account. ``detail`` is the id of what is given or taken, or the expiry instant (ISO, UTC)."""

    kind: EffectKind
    detail: str = ""


def plan_access(
    desired: DesiredAccount, actual: AccountState, *, given: Collection[Entitlement] = (), asked: Collection[Entitlement] = ()
) -> list[Change]:
    """What turns ``actual`` into ``desired``: expiry first (it fails safe), what is to go, sign-in, and then what is to come.

    Of what the account holds besides, only ``given`` is taken away: what we gave and nothing supports any more. What others gave is left
    alone here; deciding about it is reconciliation's. ``asked`` is as in ``plan_removal``. Raises ``Refused`` for protected accounts and for accounts that do not carry the
    worker's marker.
    """
    require_touchable(actual, marker=desired.marker)
    changes = []
    if actual.keeps_expiry and actual.expires_at != desired.expires_at:
        changes.append(Change(EffectKind.SET_EXPIRY, desired.expires_at.isoformat()))
    if actual.enabled and not desired.enabled:
        changes += [Change(EffectKind.DISABLE_ACCOUNT), Change(EffectKind.REVOKE_SESSIONS)]
    changes += _taking_all(set(given) - desired.entitlements, set(asked) - desired.entitlements, actual)
    if desired.enabled and not actual.enabled:
        changes.append(Change(EffectKind.ENABLE_ACCOUNT))
    return changes + list(_giving(desired, actual))


def plan_removal(
    actual: AccountState, *, marker: str, gone: Collection[Entitlement], asked: Collection[Entitlement] = ()
) -> list[Change]:
    """What to take away after sign-in is blocked: what of ``gone`` the account still holds. A licence comes after groups and roles.

    ``asked`` is taken away although it does not show: a call for it may have been made that the directory has not shown yet.
    """
    require_touchable(actual, marker=marker)
    return _taking_all(gone, asked, actual)


def _taking_all(gone: Collection[Entitlement], asked: Collection[Entitlement], actual: AccountState) -> list[Change]:
    shown = list(_taking(gone, actual))
    hidden = [Change(_TAKE[each.kind], each.id) for each in sorted(asked) if each.kind in _TAKE]
    return shown + [change for change in hidden if change not in shown]


def _giving(desired: DesiredAccount, actual: AccountState) -> Iterator[Change]:
    for kind, effect in _GIVE.items():
        missing = ids_of(desired.entitlements, kind) - ids_of(actual.entitlements, kind)
        yield from (Change(effect, each) for each in sorted(missing))


def _taking(gone: Iterable[Entitlement], actual: AccountState) -> Iterator[Change]:
    """A licence that comes through a group goes with the group; only a direct one is taken from the account."""
    gone = list(gone)
    for kind in (EntitlementKind.GROUP, EntitlementKind.APP_ROLE, EntitlementKind.LICENCE):
        held = actual.licences if kind is EntitlementKind.LICENCE else ids_of(actual.entitlements, kind)
        yield from (Change(_TAKE[kind], each) for each in sorted(ids_of(gone, kind) & held))
