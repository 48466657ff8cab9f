"""A record whose creation was lost on the way is adopted with the shipped mappings, and its engagement's changes reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import catalogue
from connectors.contract import Instance
from connectors.salesforce.sandbox import SINK, SandboxField
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.testing import trial_of
from flows.mapping.lineage import field_lineage
from mappings.registry import MappingRegistry
from provisioning.writing import DesiredRecord
from tests.sample_engagements import a_document
from workforce.engagement import Rate, RateUnit
from workforce.lineage import MappingUsed, RecordWrite
from workforce.outgoing import EngagementDocument
from workforce.ports import RecordSink

pytestmark = pytest.mark.integration

TODAY = datetime.now(UTC).date()
SINKS = [key for key in catalogue.known_keys() if catalogue.load(key).can.sink]
USUAL = Rate(amount=Decimal("95.50"), currency="USD", unit=RateUnit.HOUR)


@pytest.fixture(params=SINKS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, RecordSink, Any]]:
    key = request.param
    with trial_of(key).open(tmp_path) as opened:
        settings = opened.settings
        if key == "salesforce":  # where an administrator has made the hub's own fields, and the connector reads them back
            names = list(MappingRegistry.shipped().get("engagement__salesforce", on=TODAY).mapping.fields)
            contact = opened.sandbox.objects[SINK]
            contact.fields |= {name: SandboxField(name) for name in names if name not in contact.fields}
            settings = {**settings, "sink": {**settings["sink"], "fields": names}}
        connector = catalogue.load(key)
        with closing(Instance(key, connector, connector.settings.model_validate(settings), ON_LOOPBACK)) as instance:
            yield key, instance.sink(), opened.sandbox


def desired(key: str, document: EngagementDocument, standing: RecordWrite | None = None) -> DesiredRecord:
    source = document.values()
    mapped = MappingRegistry.shipped().get(f"engagement__{key}", on=TODAY).apply(source)
    return DesiredRecord(field_lineage(source, mapped), mapped.cleared, standing)


def the_same(document: EngagementDocument, **terms: Any) -> EngagementDocument:
    return document.model_copy(update={"terms": document.terms.model_copy(update=terms)})


def shown_by(key: str, sink: RecordSink, sandbox: Any, record_id: str) -> Any:
    if key == "files":
        sandbox.take_uploads()
    return sink.read(record_id).values


def test_a_record_that_a_lost_reply_left_is_adopted_and_nothing_of_it_is_refused(place: tuple[str, RecordSink, Any]) -> None:
    key, sink, sandbox = place
    document = a_document("Vietnamese", USUAL)
    wanted = desired(key, document)
    record_id = sink.create(document.worker.marker, wanted.whole().values())
    plan = wanted.plan(shown_by(key, sink, sandbox, record_id))
    sink.update(record_id, plan.values())
    assert sink.read(record_id).active


def test_another_role_rate_and_end_reach_the_record(place: tuple[str, RecordSink, Any]) -> None:
    key, sink, sandbox = place
    document = a_document("Vietnamese", USUAL, ends_on=date(2039, 2, 26))
    first = desired(key, document)
    record_id = sink.create(document.worker.marker, first.whole().values())
    sink.update(record_id, {})
    standing = RecordWrite(
        system=key,
        mapping=MappingUsed(mapping_id=f"engagement__{key}", version="v0001", sha256="0" * 64),
        fields=first.whole().result,
    )
    rate = Rate(amount=Decimal("110.00"), currency="USD", unit=RateUnit.HOUR)
    second = desired(key, the_same(document, role="アーキテクト", rate=rate, ends_on=date(2039, 5, 31)), standing)
    plan = second.plan(shown_by(key, sink, sandbox, record_id))
    assert plan.changes
    sink.update(record_id, plan.values())
    shown = shown_by(key, sink, sandbox, record_id)
    later = desired(key, the_same(document, role="アーキテクト", rate=rate, ends_on=date(2039, 5, 31)), standing)
    held = {change.target for change in later.plan(shown).changes if change.before is not None}
    assert not {"job_title.name", "termination_date", "Title", "jobTitle", "Role", "title"} & held
