"""A record that cannot be used waits on its own: with its cause, beside its kin, told once; the feed goes on.

Nothing of the record is taken, with one exception. Revocation waits for no mapping: if the record says readably that the stint stops
earlier than known, that is taken, and the rest waits.
"""

from __future__ import annotations

from flows.alarms import raise_alarm
from flows.intake import Intake
from ledger import engagements, failures, sources
from ledger.database import Tx
from ledger.work_orders import bring_end_forward
from mappings.faults import Unmappable
from workforce.engagement import Engagement, EngagementTerms, canonical
from workforce.errors import HubError, Refused
from workforce.ports import SourceRecord

DECIDE_THE_END = ("terms.ends_on", "terms.terminates_at", "terms.time_zone")


def quarantine(intake: Intake, record: SourceRecord, error: Refused) -> None:
    """Set the record aside with its cause, tell people once about all of its kin, and take an earlier end."""
    with intake.hub.database.transaction(intake.tenant) as tx:
        sources.remember(tx, intake.system, record)
        failure = failures.park(
            tx,
            cause=error.cause,
            message=str(error),
            field=error.field,
            subject=subject_of(intake, record.external_id),
            group_key=group_of(error),
        )
        raise_alarm(tx, failure)
    _take_an_earlier_end(intake, record)


def subject_of(intake: Intake, external_id: str) -> str:
    """What the failure list calls a record of the source."""
    return f"{intake.system}:{external_id}"


def group_of(error: Exception) -> str | None:
    """The cause as all its kin share it, where the error has kin."""
    return error.group if isinstance(error, Unmappable) else None


def _take_an_earlier_end(intake: Intake, record: SourceRecord) -> None:
    with intake.hub.database.transaction(intake.tenant) as tx:
        known = engagements.by_vms_id(tx, intake.system, record.external_id)
    if known is None or known.tombstoned_at is not None:
        return
    terms = _terms_with_its_end(intake, record, known)
    if terms is not None and terms.end_instant() < known.end_at:
        with intake.hub.database.transaction(intake.tenant) as tx:
            bring_end_forward(tx, known.id, terms)


def _terms_with_its_end(intake: Intake, record: SourceRecord, known: Engagement) -> EngagementTerms | None:
    """The known terms with the end that the record says; ``None`` where it says none that can be read."""
    try:
        with intake.hub.database.transaction(intake.tenant) as tx:
            said = intake.mapping(tx, record, known).apply_only(record.values, DECIDE_THE_END)
        ends = {target.removeprefix("terms."): value for target, value in said.items()}
        terms = canonical(EngagementTerms, {**known.terms.model_dump(), **ends}, source=f"work order {record.external_id}")
        terms.end_instant()
    except HubError:
        return None
    return terms


def park_feed_defect(tx: Tx, subject: str, error: Exception) -> None:
    """A defect of ours stopped one record: it waits, and the others go on."""
    message = f"a defect stopped this record ({type(error).__name__}); see the worker's log"
    raise_alarm(tx, failures.park(tx, cause="defect", message=message, subject=subject))
