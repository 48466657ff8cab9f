"""Every operation of every port, made ready from a connector's trial: how to run it, what a right result is, how a lost one is found.

The conformance suite sends each through the fault matrix; the benchmark times each. Nothing here knows a connector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, SecretStr

from connectors.contract import Capabilities, Connector
from connectors.suite.directory_operations import DIRECTORY_PORTS, DIRECTORY_SCENES
from connectors.suite.scenes import Scene, Stage, every_event, every_record
from workforce.markers import new_marker
from workforce.ports import (
    RecordEnding,
    RecordSink,
    RecordSource,
    Rehiring,
    Screening,
    Signing,
    SourceRecord,
    StoredRecord,
)


def operations_of(connector: Connector[Any, Any]) -> list[str]:
    """The operations that a connector has, by ``<capability>.<method>``; those of an optional port if the capability's class has it."""
    return [name for name in SCENES if _is_among(connector.can, name)]


def _is_among(can: Capabilities[Any, Any], operation: str) -> bool:
    built, optional = getattr(can, operation.partition(".")[0]), PORTS.get(operation)
    return built is not None and (optional is None or (isinstance(built, type) and issubclass(built, optional)))


def scene(operation: str, stage: Stage) -> Scene:
    """``operation`` made ready: what it needs is made first."""
    return SCENES[operation](stage)


def every_change(source: RecordSource, cursor: str | None = None) -> list[SourceRecord]:
    """All pages of what changed since ``cursor``."""
    return every_record(source, cursor)[0]


def _changes(stage: Stage) -> Scene:
    external_id = stage.trial.change_source(stage.sandbox, stage.n)
    source = stage.instance.source()
    return Scene(lambda: every_change(source), lambda found: external_id in {record.external_id for record in found})


def _read_source(stage: Stage) -> Scene:
    external_id = stage.trial.change_source(stage.sandbox, stage.n)
    source = stage.instance.source()
    return Scene(lambda: source.read(external_id), lambda record: record.external_id == external_id and bool(record.values))


def _missed(stage: Stage) -> Scene:
    subject_id = stage.trial.delivery(stage.sandbox, stage.n).subject_id
    backfill = stage.instance.backfill()
    return Scene(lambda: every_event(backfill)[0], lambda found: subject_id in {event.subject_id for event in found})


def _schemas(stage: Stage) -> Scene:
    if stage.instance.connector.can.source is not None:
        stage.trial.change_source(stage.sandbox, stage.n)
    schemas = stage.instance.schemas()
    return Scene(schemas.read, lambda told: bool((told.source or told.target or {}).get("properties")))


def _create_record(stage: Stage) -> Scene:
    sink, marker, values = stage.instance.sink(), new_marker(), stage.trial.record(stage.n)

    def is_found() -> bool:
        return [record.external_id for record in sink.find(marker, values) if record.marker == marker] != []

    return Scene(lambda: sink.create(marker, values), lambda external_id: sink.read(external_id).active, is_found)


def _find_record(stage: Stage) -> Scene:
    sink, marker, values = stage.instance.sink(), new_marker(), stage.trial.record(stage.n)
    external_id = sink.create(marker, values)
    return Scene(
        lambda: sink.find(marker, values), lambda found: external_id in {r.external_id for r in found if r.marker == marker}
    )


def _update_record(stage: Stage) -> Scene:
    sink, change = stage.instance.sink(), stage.trial.record_change()
    external_id = sink.create(new_marker(), stage.trial.record(stage.n))

    return Scene(lambda: sink.update(external_id, change), lambda _: _shows(sink.read(external_id).values, change))


def _shows(held: object, wanted: object) -> bool:
    """Whether what is held is as ``wanted``, or holds it among others; numbers may be texts."""
    if isinstance(wanted, Mapping):
        return isinstance(held, Mapping) and all(_shows(held.get(name), value) for name, value in wanted.items())
    return str(held) == str(wanted)


def _ended(system: RecordEnding, external_id: str) -> Scene:
    now = datetime.now(UTC)

    def end() -> None:
        system.end(external_id, ended_at=now, ends_on=now.date().isoformat())

    return Scene(end, lambda _: not _is_running(system.read(external_id), now))


def _is_running(record: StoredRecord, now: datetime) -> bool:
    return record.active and not (record.ends_on and record.ends_on[:10] <= now.date().isoformat())


def _shown(system: RecordEnding, external_id: str) -> Scene:
    return Scene(lambda: system.read(external_id), lambda record: record.external_id == external_id and record.active)


def _end_record(stage: Stage) -> Scene:
    return _ended(stage.instance.sink(), _a_record(stage))


def _rehire(stage: Stage) -> Scene:
    sink: Any = stage.instance.sink()
    external_id, now = _a_record(stage), datetime.now(UTC)
    today = now.date().isoformat()
    sink.end(external_id, ended_at=now, ends_on=today)
    return Scene(lambda: sink.rehire(external_id, starts_on=today), lambda _: sink.read(external_id).active)


def _read_record(stage: Stage) -> Scene:
    return _shown(stage.instance.sink(), _a_record(stage))


def _a_record(stage: Stage) -> str:
    sink: RecordSink = stage.instance.sink()
    return sink.create(new_marker(), stage.trial.record(stage.n))


def _end_planted(stage: Stage) -> Scene:
    return _ended(stage.instance.ending(), stage.trial.plant_record(stage.sandbox, stage.n))


def _read_planted(stage: Stage) -> Scene:
    return _shown(stage.instance.ending(), stage.trial.plant_record(stage.sandbox, stage.n))


def _agreement(stage: Stage) -> tuple[Signing, str, str]:
    signing, marker = stage.instance.signing(), new_marker()
    return signing, marker, signing.send(stage.trial.agreement(marker))


def _send(stage: Stage) -> Scene:
    signing, marker = stage.instance.signing(), new_marker()
    request = stage.trial.agreement(marker)
    return Scene(
        lambda: signing.send(request), lambda envelope: envelope in signing.find(marker), lambda: len(signing.find(marker)) == 1
    )


def _find_agreement(stage: Stage) -> Scene:
    signing, marker, envelope = _agreement(stage)
    return Scene(lambda: signing.find(marker), lambda found: list(found) == [envelope])


def _signing_status(stage: Stage) -> Scene:
    signing, _, envelope = _agreement(stage)
    return Scene(lambda: signing.status(envelope), lambda record: record.external_id == envelope and bool(record.version))


def _documents(stage: Stage) -> Scene:
    signing, _, envelope = _agreement(stage)
    stage.trial.sign(stage.sandbox, envelope)
    return Scene(lambda: signing.documents(envelope), lambda content: content.startswith(b"%PDF-"))


def _void(stage: Stage) -> Scene:
    signing, _, envelope = _agreement(stage)
    before = signing.status(envelope).values
    return Scene(
        lambda: signing.void(envelope, "The engagement was cancelled"), lambda _: signing.status(envelope).values != before
    )


def _order(stage: Stage) -> Scene:
    screening, marker = stage.instance.screening(), new_marker()
    order = stage.trial.screening(marker)
    return Scene(
        lambda: screening.order(order),
        lambda order_id: order_id in screening.find(marker),
        lambda: len(screening.find(marker)) == 1,
    )


def _ordered(stage: Stage) -> tuple[Screening, str, str]:
    screening, marker = stage.instance.screening(), new_marker()
    return screening, marker, screening.order(stage.trial.screening(marker))


def _find_order(stage: Stage) -> Scene:
    screening, marker, order_id = _ordered(stage)
    return Scene(lambda: screening.find(marker), lambda found: list(found) == [order_id])


def _screening_status(stage: Stage) -> Scene:
    screening, _, order_id = _ordered(stage)
    return Scene(lambda: screening.status(order_id), lambda state: state.order_id == order_id)


def _notify(stage: Stage) -> Scene:
    notifier, to = stage.instance.notifier(), stage.trial.recipients()
    key = new_marker()
    return Scene(lambda: notifier.send(to=to, subject="A document expires", text="It expires on Friday.", dedup_key=key))


PORTS: Mapping[str, type] = {"sink.rehire": Rehiring, **DIRECTORY_PORTS}
"""The optional port that a capability's class has to have for the operation."""

SCENES: Mapping[str, Callable[[Stage], Scene]] = {
    "source.changes": _changes, "source.read": _read_source, "backfill.missed": _missed, "schemas.read": _schemas,
    "sink.find": _find_record, "sink.create": _create_record, "sink.update": _update_record, "sink.end": _end_record,
    "sink.rehire": _rehire, "sink.read": _read_record, "ending.end": _end_planted, "ending.read": _read_planted,
    "signing.find": _find_agreement, "signing.send": _send, "signing.status": _signing_status, "signing.documents": _documents,
    "signing.void": _void, "screening.find": _find_order, "screening.order": _order, "screening.status": _screening_status,
    "notifier.send": _notify, **DIRECTORY_SCENES,
}  # fmt: skip


def secrets_in(values: object) -> Iterator[str]:
    """Every secret text in a validated settings form."""
    if isinstance(values, SecretStr):
        yield values.get_secret_value()
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from secrets_in(value)
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        for value in values:
            yield from secrets_in(value)
    elif isinstance(values, BaseModel):
        for name in type(values).model_fields:
            yield from secrets_in(getattr(values, name))
