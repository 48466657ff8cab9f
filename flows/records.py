"""The steps that keep records in HRIS and payroll, and end them there and in the VMS.

Where a system keeps records of people, all engagements of a person share one: the engagement that started last says what is in it, and it
ends with the last of them. When the leading one ends, the others' joiners run again (``flows.handlers``), and the next to lead writes its terms.
Where a system keeps one for each engagement, none of this matters.
"""

from __future__ import annotations

from flows.case import Case, record_is_shared
from flows.feeds.intake import RECORD
from flows.steps import step
from ledger import engagements
from ledger.database import Tx
from ledger.ending import endings
from ledger.ending.endings import EndingCause
from ledger.identity import identities
from provisioning.records import prove_record
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.errors import NotFound, RetryLater
from workforce.markers import marker_of


@step("Create the record")
def create_record(case: Case) -> None:
    """Create the contractor's record, or adopt the one that a lost reply left; of one that is known, write only what differs.

    An ended record of a person who comes back is taken up again first.
    """
    record_id = case.external_id(RECORD)
    if record_id is not None and not leads(case):
        return
    sink, outgoing, applier = case.config.instance(case.system).sink(), case.outgoing(), case.records()
    starts_on = case.engagement.terms.starts_on.isoformat()
    if record_id is None:
        record_id, plan = applier.create(sink, _marker(case), outgoing.desired, outgoing.details)
        applier.rehire(sink, record_id, starts_on=starts_on)
    else:
        applier.rehire(sink, record_id, starts_on=starts_on)
        plan = applier.update(sink, record_id, outgoing.desired, outgoing.details)
    case.remember(RECORD, record_id, outgoing, plan)
    lost = [effect for kind in (EffectKind.UPDATE_RECORD, EffectKind.REHIRE_RECORD) for effect in case.unfinished(kind)]
    applier.conclude(record_id, lost)


@step("Read the record back")
def read_record_back(case: Case) -> None:
    """Ask the system for the record; it has to be there and active."""
    record_id = case.external_id(RECORD)
    if record_id is None:
        raise RetryLater(f"{case.system}: no record is known yet", cause="not_created")
    record = prove_record(case.config.instance(case.system).sink(), record_id, active=True)
    case.audit("record.verified", record_id=record.external_id)


@step("End the record")
def end_record(case: Case) -> None:
    """End the record in the VMS, HRIS or payroll as of the last day at the work location, unless the person goes on in it."""
    record_id, because = case.external_id(RECORD), _kept_because(case)
    if record_id is None:
        return
    if because is not None:
        case.audit("record.kept", record_id=record_id, because=because)
        return
    system = case.config.instance(case.system).ending()
    last_day = max(case.engagement.last_day(), case.engagement.terms.starts_on)  # no system takes an end before the start
    case.records().end(system, record_id, ended_at=case.engagement.end_at, ends_on=last_day.isoformat())


@step("Read the ended record back")
def read_ended_record_back(case: Case) -> None:
    """Ask the system: the record may no longer be active, unless the person goes on in it."""
    record_id = case.external_id(RECORD)
    if record_id is not None and _kept_because(case) is None:
        prove_record(case.config.instance(case.system).ending(), record_id, active=False)
        case.audit("record.end_verified", record_id=record_id)


def of_record(tx: Tx, system: str, record_id: str) -> Engagement | None:
    """The engagement whose word counts for a record of ours; of a person's record, the one that leads."""
    known = identities.by_external(tx, system, RECORD, record_id)
    if known is None:
        return None
    try:
        return engagements.get(tx, known)
    except NotFound:
        everything = engagements.list_all(tx, worker_id=known)
        return leading(everything) or max(everything, key=_order, default=None)


def leading(everything: list[Engagement]) -> Engagement | None:
    """Of a person's engagements, the one that started last among those that go on."""
    return max((each for each in everything if each.goes_on), key=_order, default=None)


def _order(engagement: Engagement) -> tuple[str, str]:
    return engagement.terms.starts_on.isoformat(), str(engagement.id)


def leads(case: Case) -> bool:
    """Whether the engagement's word counts for the record."""
    if not record_is_shared(case):
        return True
    with case.hub.database.transaction(case.ref.tenant) as tx:
        first = leading(engagements.list_all(tx, worker_id=case.engagement.worker.id))
    return first is None or first.id == case.engagement_id


def _kept_because(case: Case) -> str | None:
    """Why the record does not end with the engagement; nothing where it does."""
    if not record_is_shared(case):
        return None
    with case.hub.database.transaction(case.ref.tenant) as tx:
        if leading(engagements.list_all(tx, worker_id=case.engagement.worker.id)) is not None:
            return "another engagement of the person needs it"
        if case.system == case.config.document.systems.hris and _is_conversion(tx, case):
            return EndingCause.CONVERTED
    return None


def _is_conversion(tx: Tx, case: Case) -> bool:
    ending = endings.current(tx, case.engagement_id)
    return ending is not None and ending.cause == EndingCause.CONVERTED


def _marker(case: Case) -> str:
    return case.engagement.worker.marker if record_is_shared(case) else marker_of(case.engagement_id)
