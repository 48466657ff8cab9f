"""What ``None`` does in every sink of the catalogue: nothing in a creation; in an update it empties, or is refused by the field's name."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from connectors import catalogue
from connectors.contract import Instance
from connectors.records.nulls import takes_null, without_nulls
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.testing import trial_of
from workforce.errors import Refused
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

SINKS = [key for key in catalogue.known_keys() if catalogue.load(key).can.sink]


@pytest.mark.parametrize("key", SINKS)
def test_what_a_system_cannot_empty_is_refused_by_name_before_anything_is_sent(key: str, tmp_path: Path) -> None:
    trial, connector = trial_of(key), catalogue.load(key)
    kept = [name for name, value in trial.record(1).items() if value and not takes_null(key, name)]
    assert kept
    with trial.open(tmp_path) as opened:
        settings = connector.settings.model_validate(opened.settings)
        with closing(Instance(key, connector, settings, ON_LOOPBACK)) as instance:
            sink = instance.sink()
            record_id = sink.create(new_marker(), trial.record(1))
            done = len(opened.sandbox.effects.entries)
            for name in kept:
                with pytest.raises(Refused) as refusal:
                    sink.update(record_id, {**trial.record_change(), name: None})
                assert (refusal.value.cause, refusal.value.field) == ("cannot_be_emptied", name)
            assert len(opened.sandbox.effects.entries) == done


@pytest.mark.parametrize("key", SINKS)
def test_what_is_none_is_left_out_of_a_creation(key: str, tmp_path: Path) -> None:
    trial, connector = trial_of(key), catalogue.load(key)
    unknown = (
        {"state_code": None} if key == "deel" else {"instructions": None} if key == "workmarket" else {"middle_initial": None}
    )
    with trial.open(tmp_path) as opened:
        settings = connector.settings.model_validate(opened.settings)
        with closing(Instance(key, connector, settings, ON_LOOPBACK)) as instance:
            sink, marker = instance.sink(), new_marker()
            record_id = sink.create(marker, {**trial.record(1), **(unknown if key != "salesforce" else {"Department": None})})
            found = sink.find(marker, trial.record(1))
    assert [record.external_id for record in found if record.marker == marker] == [record_id]


def test_an_object_of_which_nothing_is_known_is_left_out_and_an_empty_one_is_not() -> None:
    told = {"a": None, "b": {"c": None}, "d": {"e": None, "f": 0}, "g": {}, "h": "", "i": False}
    assert without_nulls(told) == {"d": {"f": 0}, "g": {}, "h": "", "i": False}
