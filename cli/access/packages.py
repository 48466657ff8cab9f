"""``stint access packages|migrate``: the access packages, whom each is for, and moving running engagements to another version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from cli.actor import person, stated
from cli.reading import find_engagement
from config.hub import Hub
from config.tenant import TenantConfig
from flows.access.approving import package_version
from flows.mapping.following import is_over
from ledger import engagement_rows, engagements
from ledger.access import approvals
from ledger.access import package_pins as access_pins
from ledger.database import Tx
from ledger.queueing.jobs import defer_joiner
from provisioning.packages import AccessPackage
from workforce.engagement import Engagement


@dataclass(frozen=True, slots=True)
class Move:
    """One running engagement that moves to another version, and what it gains and loses by it (``directory: entitlement``).

    ``waits``: the version has to be approved for it first; until then it keeps the one it has.
    """

    engagement: Engagement
    pinned: int
    gains: tuple[str, ...]
    loses: tuple[str, ...]
    waits: bool


def package_rows(hub: Hub, tenant: str, engagement: str | None = None) -> list[dict[str, Any]]:
    """Every version of every package, or those of one engagement, with whom it is for and how many running engagements have it."""
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        counts = access_pins.counts(tx)
        running = [(engagements.get(tx, each).terms, number) for each, number in access_pins.alike(tx)]
        one = find_engagement(tx, engagement) if engagement else None
    shown = config.access.for_terms(one.terms, one.access_pins) if one else config.access.packages
    return [
        {
            "package": package.package,
            "version": package.version,
            "role": package.role,
            "client_units": list(package.client_units),
            "locations": list(package.locations),
            "effective_from": package.effective_from,
            "because": package.because,
            "sensitive": package.sensitive,
            "approvers": list(package.approvers),
            "gives": sorted(_gives(package)),
            "fits": sum(number for terms, number in running if package.fits(terms)),
            "pinned": counts.get((package.package, package.version), 0),
        }
        for package in shown
    ]


def package_lines(row: dict[str, Any]) -> list[str]:
    """One version of a package for a terminal."""
    told = {
        "for": _scope(row),
        "counts": f"for engagements that start on {row['effective_from']} or later" if row["effective_from"] > date.min else "",
        "because": row["because"],
        "approved by": " or ".join(row["approvers"]),
        "running": f"{row['fits']} engagement(s) fit it, {row['pinned']} have it",
    }
    gives: dict[str, list[str]] = {}
    for text in row["gives"]:
        directory, entitlement = text.split(": ", 1)
        gives.setdefault(directory, []).append(entitlement)
    lines = [(name, text) for name, text in told.items() if text]
    lines += [(directory if not i else "", each) for directory, held in gives.items() for i, each in enumerate(held)]
    title = f"{row['package']} v{row['version']}" + (" (sensitive)" if row["sensitive"] else "")
    return [title, *(f"  {name:<12} {text}" for name, text in lines)]


def _scope(row: dict[str, Any]) -> str:
    """``Software Engineer; Analytics; Berlin, Paris``; what is not narrowed is left out."""
    return "; ".join(filter(None, [row["role"], ", ".join(row["client_units"]), ", ".join(row["locations"])]))


def moves(hub: Hub, tenant: str, package: str, version: int, engagement: str | None = None) -> list[Move]:
    """Whom a migration would touch: running engagements that are pinned to another version of the package. Nothing is written.

    Raises ``Refused`` (cause ``unknown_package``), ``NotFound``.
    """
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        return _moves(tx, config, package_version(config, package, version), engagement)


def migrate(hub: Hub, tenant: str, package: str, version: int, *, reason: str, engagement: str | None = None) -> list[Move]:
    """Move them, audited; the joiner then gives and takes what differs. A version that needs approval moves them once it is approved.

    Raises ``Refused`` (causes ``unknown_package``, ``no_reason``), ``NotFound``.
    """
    why = stated(reason, "reason")
    config = hub.tenant(tenant)
    target = package_version(config, package, version)
    with hub.database.transaction(tenant) as tx:
        found = _moves(tx, config, target, engagement)
        for move in found:
            _move(tx, target, move, why)
    return found


def _move(tx: Tx, target: AccessPackage, move: Move, reason: str) -> None:
    current = engagement_rows.lock(tx, move.engagement.id)
    if is_over(current):
        return
    name, version = target.package, target.version
    approvals.withdraw_others(tx, current.id, name, version)
    if move.waits:
        approvals.ask(tx, current.id, name, version, again=True)
    else:
        engagements.pin_access(tx, current.id, {**current.access_pins, name: version}, actor=person())
        defer_joiner(tx, current.id)
    details = {"package": name, "was": move.pinned, "version": version, "waits_for_approval": move.waits, "reason": reason}
    engagement_rows.note(tx, "engagement.access_migrated", current, person(), reason_code=None, **details)


def _moves(tx: Tx, config: TenantConfig, target: AccessPackage, engagement: str | None) -> list[Move]:
    ids = access_pins.elsewhere(tx, target.package, target.version)
    only = find_engagement(tx, engagement).id if engagement else None
    chosen = [engagements.get(tx, each) for each in ids if only in {None, each}]
    return [_of(tx, config, target, each) for each in chosen]


def _of(tx: Tx, config: TenantConfig, target: AccessPackage, engagement: Engagement) -> Move:
    pinned = engagement.access_pins[target.package]
    before = _all(config, engagement, engagement.access_pins)
    after = _all(config, engagement, {**engagement.access_pins, target.package: target.version})
    waits = not approvals.may_be_given(tx, engagement.id, [target])
    return Move(engagement, pinned, tuple(sorted(after - before)), tuple(sorted(before - after)), waits)


def _all(config: TenantConfig, engagement: Engagement, pins: dict[str, int]) -> frozenset[str]:
    """What all packages of an engagement give together, were it pinned so."""
    chosen = [each for each in config.access.packages if pins.get(each.package) == each.version and each.fits(engagement.terms)]
    return frozenset(text for package in chosen for text in _gives(package))


def _gives(package: AccessPackage) -> frozenset[str]:
    return frozenset(f"{directory}: {each}" for directory in package.directories for each in package.entitlements(directory))
