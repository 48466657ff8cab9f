"""``stint workers …``: who somebody is, who answers for them, and what they first sign in with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from cli.actor import person, stated
from cli.reading import find_engagement
from config.hub import Hub
from flows.access.credentials import HandOver
from ledger import engagements, failures
from ledger.database import Tx
from ledger.identity import cases as identity_cases
from ledger.identity import identities, person_changes, reassignment, workers
from ledger.identity.cases import IdentityCase
from ledger.identity.person_changes import PersonChange
from ledger.queueing.jobs import defer_joiner, defer_take
from ledger.trail import audit
from provisioning.policies import Sponsors
from workforce.engagement import Engagement, Worker, is_email
from workforce.errors import NotFound, Refused
from workforce.events import Outcome
from workforce.states import OVER, STANDING

MOST = 100_000
"""Engagements that one command looks through at most."""


def case_rows(hub: Hub, tenant: str, *, decided: bool = False) -> list[dict[str, Any]]:
    """The questions who somebody is, oldest first: ids and names of fields, no values.

    ``question`` is ``possible_same_person`` where somebody new looks like somebody known, ``another_person`` where a known
    work order names another person than before; ``looks_like`` is the marker of the known one either way.
    """
    with hub.database.transaction(tenant) as tx:
        alike = [_case_row(tx, case) for case in identity_cases.list_cases(tx, open_only=not decided)]
        changed = [_change_row(tx, change) for change in person_changes.list_changes(tx, open_only=not decided)]
    return sorted([*alike, *changed], key=lambda row: row["since"])


def decide(hub: Hub, tenant: str, case_id: UUID, *, same: bool, reason: str) -> dict[str, Any]:
    """Answer one question; ``next`` says what is left to do, if anything is. Raises ``NotFound``, ``Refused``.

    A work order that is the same human's after all is read again.
    """
    why = stated(reason, "reason")
    with hub.database.transaction(tenant) as tx:
        if person_changes.find(tx, case_id) is None:
            answer = identity_cases.same if same else identity_cases.different
            return {**_engagement_row(answer(tx, case_id, person(), why)), "next": None}
        return _whose_order(tx, case_id, why, same=same, vms=hub.tenant(tenant).document.systems.vms)


def accept(hub: Hub, tenant: str, key: str, reason: str) -> dict[str, Any]:
    """Let one engagement go on of somebody who is not to be engaged again. Raises ``NotFound``, ``Refused``."""
    why = stated(reason, "reason")
    with hub.database.transaction(tenant) as tx:
        return _engagement_row(identity_cases.accept(tx, find_engagement(tx, key).id, person(), why))


def do_not_rehire(hub: Hub, tenant: str, marker: str, *, reason: str, lift: bool) -> dict[str, Any]:
    """Have a reviewer decide about each new engagement of a person from now on, or no more. Raises ``NotFound``."""
    why = stated(reason, "reason")
    with hub.database.transaction(tenant) as tx:
        worker = _worker(tx, marker)
        workers.set_do_not_rehire(tx, worker, None if lift else why, person(), because=why)
        gone_on = identity_cases.lifted(tx, worker.id, person()) if lift else []
    return {"marker": worker.marker, "do_not_rehire": not lift, "goes_on": [each.terms.vms_id for each in gone_on]}


def show_worker(hub: Hub, tenant: str, marker: str) -> dict[str, Any]:
    """One person by ids alone: their engagements, and how many former logins are kept. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        worker = _worker(tx, marker)
        mine = engagements.list_all(tx, worker_id=worker.id)
        return {
            "marker": worker.marker,
            "worker": str(worker.id),
            "has_login": identities.login_of(tx, worker.id) is not None,
            "former_logins": len(identities.aliases_of(tx, worker.id)),
            "do_not_rehire": workers.do_not_rehire(tx, worker.id),
            "engagements": [_engagement_row(each) for each in mine],
        }


def sponsor_left(hub: Hub, tenant: str, sponsor: str, *, preview: bool) -> list[dict[str, Any]]:
    """The engagements for which ``sponsor`` answered, and who does now; unless it is a ``preview``, that is carried out.

    Where a successor is configured, the directories are told with the next run of the joiner; where none is, the engagement is put on the
    failure list.
    """
    if not is_email(sponsor):
        raise Refused(
            f"sponsor: {sponsor!r} is no address; give that of the sponsor who left", cause="no_address", field="sponsor"
        )
    sponsors = hub.tenant(tenant).document.access.sponsors
    with hub.database.transaction(tenant) as tx:
        found = [
            each
            for each in engagements.list_all(tx, limit=MOST)
            if each.state not in OVER and sponsor.casefold() in _chain(sponsors, each.terms.sponsor_email)
        ]
        if not preview:
            for engagement in found:
                _succeed(tx, engagement, has_successor=_successor(sponsors, sponsor) is not None)
    return [{**_engagement_row(each), "successor": _successor(sponsors, sponsor)} for each in found]


def credential_link(hub: Hub, tenant: str, key: str) -> list[dict[str, Any]]:
    """Fresh one-time links to the first credentials of an engagement's accounts, to be handed to the person. Audited.

    Raises ``NotFound``, ``Refused``.
    """
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
    made = HandOver(hub, tenant, engagement.id).make_links(actor=person())
    policy = hub.tenant(tenant).document.access.credentials
    base = policy.page_address or hub.settings.receiver_url
    about = {"valid_hours": policy.link_valid_hours, "reachable": policy.page_address is not None}
    with hub.database.transaction(tenant) as tx:
        failures.resolve(tx, f"credential:{engagement.id}", person())
    return [{"directory": each.directory, "link": each.address(base, tenant), **about} for each in made]


def _chain(sponsors: Sponsors, address: str) -> frozenset[str]:
    """Everybody who answers, or answered, for what ``address`` answered for, case folded."""
    return frozenset(_links(sponsors, address.casefold()))


def _links(sponsors: Sponsors, address: str) -> Iterator[str]:
    following = {one.casefold(): next_one.casefold() for one, next_one in sponsors.successors.items()}
    yield address
    while address in following:
        address = following[address]
        yield address


def _successor(sponsors: Sponsors, sponsor: str) -> str | None:
    following = sponsors.of(sponsor)
    return None if following.casefold() == sponsor.casefold() else following


def _succeed(tx: Tx, engagement: Engagement, *, has_successor: bool) -> None:
    subject = f"sponsor:{engagement.id}"
    if has_successor:
        failures.resolve(tx, subject, person())
        if engagement.state in STANDING:
            defer_joiner(tx, engagement.id)
        audit.note(tx, "sponsor.succeeded", actor=person(), engagement_id=engagement.id)
        return
    message = (
        "nobody answers for the contractor since the sponsor left; name a successor in tenant.yaml: access.sponsors.successors"
    )
    failures.park(tx, cause="sponsor_without_successor", message=message, engagement_id=engagement.id, subject=subject)
    audit.note(tx, "sponsor.left", actor=person(), outcome=Outcome.FAILURE, engagement_id=engagement.id)


def _worker(tx: Tx, marker: str) -> Worker:
    found = workers.by_marker(tx, marker.strip().upper())
    if found is None:
        raise NotFound(
            f"no worker has the marker {marker!r}; it stands on their accounts (employeeId, employeeNumber)", field="marker"
        )
    return found


def _case_row(tx: Tx, case: IdentityCase) -> dict[str, Any]:
    known = engagements.list_all(tx, worker_id=case.candidate_id)
    new = engagements.get(tx, case.engagement_id)
    return {
        "case": str(case.id),
        "question": identity_cases.POSSIBLE_SAME_PERSON,
        "engagement": new.terms.vms_id,
        "looks_like": workers.get(tx, case.candidate_id).marker,
        "their_work_orders": [each.terms.vms_id for each in known],
        "alike": list(case.alike),
        "since": case.opened_at.isoformat(timespec="seconds"),
        "decision": case.decision and str(case.decision),
        "decided_by": case.decided_by,
        "reason": case.reason,
    }


def _change_row(tx: Tx, change: PersonChange) -> dict[str, Any]:
    engagement = engagements.get(tx, change.engagement_id)
    theirs = engagements.list_all(tx, worker_id=engagement.worker.id)
    return {
        "case": str(change.id),
        "question": identity_cases.ANOTHER_PERSON,
        "engagement": engagement.terms.vms_id,
        "looks_like": engagement.worker.marker,
        "their_work_orders": [each.terms.vms_id for each in theirs],
        "alike": list(change.alike),
        "since": change.opened_at.isoformat(timespec="seconds"),
        "decision": change.decision and str(change.decision),
        "decided_by": change.decided_by,
        "reason": change.reason,
    }


def _whose_order(tx: Tx, change_id: UUID, why: str, *, same: bool, vms: str) -> dict[str, Any]:
    """Answer whether a work order that names another person is still its worker's."""
    engagement = (reassignment.same if same else reassignment.different)(tx, change_id, person(), why)
    order, is_over = engagement.terms.vms_id, engagement.tombstoned_at is not None
    if same and engagement.vms_system == vms:
        defer_take(tx, order)
    new_order = "have the VMS make a new work order for the other person"
    to_do = new_order if is_over else f"end this engagement: stint engagements end {order} --now --reason …, and {new_order}"
    return {**_engagement_row(engagement), "next": None if same else to_do}


def _engagement_row(engagement: Engagement) -> dict[str, Any]:
    return {
        "engagement": str(engagement.id),
        "vms_id": engagement.terms.vms_id,
        "state": str(engagement.state),
        "marker": engagement.worker.marker,
    }
