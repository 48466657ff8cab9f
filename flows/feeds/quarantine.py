"""A record that cannot be used waits on its own: with its cause, beside its kin, told once; the feed goes on.

Nothing of the record is taken, with one exception. Revocation waits for no mapping: if the record says readably that the stint stops
earlier than known, that is taken, and the rest waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import structlog

from flows.alarms import raise_alarm
from flows.feeds.intake import Intake
from ledger import engagements, failures
from ledger.database import Tx
from ledger.intake import sources
from ledger.intake.work_orders import bring_end_forward
from mappings.faults import Unmappable
from workforce.engagement import Engagement, EngagementTerms, canonical
from workforce.errors import HubError, Refused, RetryLater
from workforce.ports import SourceRecord

log = structlog.get_logger(__name__)

DECIDE_THE_END = ("terms.ends_on", "terms.terminates_at", "terms.time_zone")


def quarantine(intake: Intake, record: SourceRecord, error: Refused) -> None:
    """Set the record aside with its cause, tell people once about all of its kin, and take an earlier end.

    What was wrong with an earlier version of the record counts no more. Of a record that is older than what is known nothing is done.
    """
    with intake.hub.database.transaction(intake.tenant) as tx:
        try:
            is_news = _is_news(tx, intake, record)
        except Refused as unstorable:
            is_news, error = True, unstorable
        if not is_news:
            return
        subject, group = intake.subject(record.external_id), group_of(error)
        failures.supersede(tx, subject, cause=error.cause, group_key=group)
        raise_alarm(
            tx, failures.park(tx, cause=error.cause, message=str(error), field=error.field, subject=subject, group_key=group)
        )
    _take_an_earlier_end(intake, record)


def group_of(error: Exception) -> str | None:
    """The cause as all its kin share it, where the error has kin."""
    return error.group if isinstance(error, Unmappable) else None


def park_feed_defect(intake: Intake, record: SourceRecord, error: Exception) -> None:
    """A defect of ours stopped one record: it waits, and the others go on. An earlier end is taken all the same."""
    message = f"a defect stopped this record ({type(error).__name__}); see the worker's log"
    with intake.hub.database.transaction(intake.tenant) as tx:
        raise_alarm(tx, failures.park(tx, cause="defect", message=message, subject=intake.subject(record.external_id)))
    try:
        _take_an_earlier_end(intake, record)
    except RetryLater:
        raise
    except Exception:  # the same defect again: it is on the list
        log.exception("quarantine.end_not_read", tenant=intake.tenant)


def _is_news(tx: Tx, intake: Intake, record: SourceRecord) -> bool:
    """Whether nothing newer is known of the record, which is kept then."""
    known = engagements.by_vms_id(tx, intake.system, record.external_id)
    if known is not None and record.version < known.source_version:
        return False
    return sources.remember(tx, intake.system, record)


def _take_an_earlier_end(intake: Intake, record: SourceRecord) -> None:
    with intake.hub.database.transaction(intake.tenant) as tx:
        known = engagements.by_vms_id(tx, intake.system, record.external_id)
    if known is None or known.tombstoned_at is not None:
        return
    terms = terms_with_its_end(intake, record, known)
    if terms is not None and terms.end_instant() < known.end_at:
        with intake.hub.database.transaction(intake.tenant) as tx:
            intake.arm_alerts(tx, bring_end_forward(tx, known.id, terms))


def terms_with_its_end(intake: Intake, record: SourceRecord, known: Engagement) -> EngagementTerms | None:
    """The known terms with the end that the record says; ``None`` where it says none that can be read."""
    try:
        with intake.hub.database.transaction(intake.tenant) as tx:
            said = intake.mapping(tx, record, known).apply_only(record.values, DECIDE_THE_END)
    except HubError:
        return None
    ends = {target.removeprefix("terms."): value for target, value in said.items()}
    return next((terms for part in _readable_parts(ends) if (terms := _terms(known, part))), None)


def _readable_parts(ends: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """What a record says of its end: all of it, without a zone that may not be one, or an instant that needs neither day nor zone."""
    yield ends
    yield {name: value for name, value in ends.items() if name != "time_zone"}
    yield {name: value for name, value in ends.items() if name == "terminates_at"}


def _terms(known: Engagement, ends: Mapping[str, object]) -> EngagementTerms | None:
    """The known terms with other ``ends``; ``None`` where these make no sense."""
    try:
        terms = canonical(EngagementTerms, {**known.terms.model_dump(), **ends}, source="the end of a record that waits")
        terms.end_instant()
    except HubError:
        return None
    return terms
