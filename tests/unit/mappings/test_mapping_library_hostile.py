"""The incoming half of the library against what careless and hostile systems send: nothing wrong passes, and nobody is ended by a gap."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mappings.faults import FaultKind, Unmappable
from mappings.registry import MappingRegistry
from workforce.engagement import WorkOrder, canonical
from workforce.errors import Refused

LIBRARY = Path(__file__).resolve().parents[3] / "mappings" / "library"
SOURCES = ("deel", "fieldglass", "files", "greenhouse", "salesforce", "workmarket")
MAPPINGS = {key: MappingRegistry.shipped().get(f"{key}__engagement", "v0001") for key in SOURCES}
GIVEN = {
    key: next(
        each["source"]
        for each in yaml.safe_load((LIBRARY / f"{key}__engagement" / "v0001.examples.yaml").read_text(encoding="utf-8"))[
            "examples"
        ]
        if "gives" in each
    )
    for key in SOURCES
}
Place = tuple[str | int, ...]

STATUS: Mapping[str, Place] = {
    "deel": ("status",), "fieldglass": ("Status",), "files": ("status",), "greenhouse": ("application", "status"),
    "workmarket": ("status",),
}  # fmt: skip
ENDED = {"deel": "cancelled", "fieldglass": "Closed", "files": "ended", "greenhouse": "rejected", "workmarket": "cancelled"}
AMOUNT: Mapping[str, Place] = {
    "deel": ("compensation_details", "amount"), "fieldglass": ("Pay Rate",), "files": ("rate_amount",),
    "greenhouse": ("offer", "custom_fields", "rate", "value", "amount"), "salesforce": ("Pay_Rate__c",),
    "workmarket": ("pricing", "per_hour_price"),
}  # fmt: skip
FAMILY_NAME: Mapping[str, Place] = {
    "deel": ("worker", "last_name"), "fieldglass": ("Worker Last Name",), "files": ("family_name",),
    "greenhouse": ("candidate", "last_name"), "salesforce": ("Worker__r", "LastName"), "workmarket": ("active_resource", "last_name"),
}  # fmt: skip
IN_JSON = ("greenhouse", "salesforce", "workmarket")
"""Sources that write amounts as numbers."""


def record(key: str, place: Place = (), value: object = None) -> dict[str, Any]:
    """The source's first example, with ``value`` at ``place``."""
    changed: dict[str, Any] = deepcopy(GIVEN[key])
    if place:
        *above, last = place
        node: Any = changed
        for step in above:
            node = node[step]
        node[last] = value
    return changed


def order(key: str, values: Mapping[str, object]) -> WorkOrder:
    return canonical(WorkOrder, MAPPINGS[key].apply(values).values, source=key)


@pytest.mark.parametrize("key", STATUS)
@pytest.mark.parametrize("word", ["a status that nobody has told us of", "ENDED", " closed ", "2026-11-20T10:00:00+00:00"])
def test_a_status_that_is_not_known_sets_its_record_aside_by_the_word(key: str, word: str) -> None:
    with pytest.raises(Unmappable) as refusal:
        MAPPINGS[key].apply(record(key, STATUS[key], word))
    (fault,) = refusal.value.faults
    assert (fault.kind, fault.value, fault.target) == (FaultKind.NEW_VALUE, word, "terms.terminates_at")
    assert fault.source in refusal.value.group


@pytest.mark.parametrize("key", STATUS)
@pytest.mark.parametrize("nothing", ["", None, False, {}, "absent"])
def test_a_record_that_does_not_say_how_it_stands_ends_nobody(key: str, nothing: object) -> None:
    values = record(key, STATUS[key], nothing)
    if nothing == "absent":
        *above, last = STATUS[key]
        del (values[above[0]] if above else values)[last]
    with pytest.raises(Unmappable):
        MAPPINGS[key].apply(values)
    assert MAPPINGS[key].apply_only(values, ["terms.terminates_at"]) == {}


@pytest.mark.parametrize("key", STATUS)
def test_the_end_of_a_record_whose_rest_is_set_aside_can_still_be_told(key: str) -> None:
    values = record(key, STATUS[key], ENDED[key])
    if key == "files":
        values["ended_at"] = "2026-12-18T16:30:00Z"
    told = MAPPINGS[key].apply_only({**values, "a renamed column": ""}, ["terms.terminates_at"])
    assert set(told) == {"terms.terminates_at"}


@pytest.mark.parametrize("key", AMOUNT)
@pytest.mark.parametrize(
    "amount",
    ["95,00", "1,234.50", "1.234,50", "1 234.50", "95.00 EUR", "€95", "٩٥", "\uff19\uff15", "9.5e1", "0x5f", "NaN", "Infinity", "", None, True, ["95.00"]],
)  # fmt: skip
def test_an_amount_that_is_not_a_plain_number_is_never_read_as_another_one(key: str, amount: object) -> None:
    with pytest.raises(Refused):
        order(key, record(key, AMOUNT[key], amount))


@pytest.mark.parametrize("key", IN_JSON)
@pytest.mark.parametrize("amount", [0.1 + 0.2, 1e22, float("nan"), float("inf"), 95.123456789])
def test_a_number_of_json_that_cannot_be_the_one_that_was_written_is_refused(key: str, amount: float) -> None:
    with pytest.raises(Refused):
        order(key, record(key, AMOUNT[key], amount))


@pytest.mark.parametrize("key", AMOUNT)
@pytest.mark.parametrize("amount", ["-95.00", "0", "0.00", "1000000000000"])
def test_a_rate_is_more_than_nothing_and_not_beyond_measure(key: str, amount: str) -> None:
    with pytest.raises(Refused):
        order(key, record(key, AMOUNT[key], amount))


def test_a_band_in_another_currency_than_the_rates_is_no_band() -> None:
    values = record("greenhouse", ("job", "custom_fields", "rate_range", "value", "unit"), "JPY")
    with pytest.raises(Unmappable) as refusal:
        order("greenhouse", values)
    assert refusal.value.faults[0].kind is FaultKind.AMBIGUOUS


@pytest.mark.parametrize("key", FAMILY_NAME)
@pytest.mark.parametrize(
    "name",
    ["O\u2019Brien", "de la Cruz\u00a0Peña", "Nguyễn", "\u0646\u200c\u0698\u0627\u062f", "كوهين\u200f", "👩🏽\u200d💻", "𠮷野", "Ŋ" * 256, "=1+1", "0042", "null", "X Æ A-12"],
)  # fmt: skip
def test_a_name_comes_through_sign_by_sign(key: str, name: str) -> None:
    assert order(key, record(key, FAMILY_NAME[key], name)).worker.family_name == name


@pytest.mark.parametrize("key", FAMILY_NAME)
@pytest.mark.parametrize("name", ["", "   ", "\u00a0\u2003", None, 42, ["Lovelace"], {"value": "Lovelace"}, "Ŋ" * 257])
def test_a_name_that_is_none_is_refused_and_no_other_takes_its_place(key: str, name: object) -> None:
    with pytest.raises(Refused) as refusal:
        order(key, record(key, FAMILY_NAME[key], name))
    assert "family_name" in str(refusal.value)
    assert "Ŋ" not in str(refusal.value)


def test_middle_names_are_given_names() -> None:
    told = {"FirstName": "Augusta Ada", "MiddleName": "King", "LastName": "Lovelace"}
    worker = order("salesforce", {**record("salesforce"), "Worker__r": {**GIVEN["salesforce"]["Worker__r"], **told}}).worker
    assert (worker.given_name, worker.family_name) == ("Augusta Ada King", "Lovelace")


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("deel", ("worker",)),
        ("deel", ("client",)),
        ("deel", ("compensation_details",)),
        ("deel", ("custom_fields",)),
        ("greenhouse", ("candidate",)),
        ("greenhouse", ("offer",)),
        ("greenhouse", ("application",)),
        ("salesforce", ("Worker__r",)),
        ("salesforce", ("Sponsor__r",)),
        ("workmarket", ("active_resource",)),
        ("workmarket", ("pricing",)),
        ("workmarket", ("custom_fields",)),
    ],
)
@pytest.mark.parametrize("instead", [None, "", "text", 7, [], {}, [[]], [None]])
def test_a_part_that_is_missing_or_something_else_is_refused_by_name(key: str, place: Place, instead: object) -> None:
    with pytest.raises(Unmappable) as refusal:
        MAPPINGS[key].apply(record(key, place, instead))
    assert any(str(place[0]) in fault.source for fault in refusal.value.faults)


@given(st.randoms(use_true_random=False))
def test_custom_fields_count_by_their_names_and_never_by_their_places(random: Any) -> None:
    for key in ("deel", "workmarket"):
        values = record(key)
        lists = [values["custom_fields"]] if key == "deel" else [values["custom_fields"], values["custom_fields"][0]["fields"]]
        for each in lists:
            each.append({"id": 0, "name": "Another", "value": "of the client's", "fields": []})
            random.shuffle(each)
        assert MAPPINGS[key].apply(values).values == MAPPINGS[key].apply(GIVEN[key]).values


@pytest.mark.parametrize("key", ["deel", "workmarket"])
def test_a_custom_field_that_is_there_twice_is_refused(key: str) -> None:
    values = record(key)
    fields = values["custom_fields"] if key == "deel" else values["custom_fields"][0]["fields"]
    fields.extend({**each, "value": "another"} for each in list(fields))
    with pytest.raises(Unmappable) as refusal:
        MAPPINGS[key].apply(values)
    assert {fault.kind for fault in refusal.value.faults} == {FaultKind.AMBIGUOUS}


@pytest.mark.parametrize(
    ("key", "place", "day"),
    [
        ("fieldglass", ("End Date",), "26.02.2027"),
        ("fieldglass", ("End Date",), "02/26/2027"),
        ("fieldglass", ("End Date",), "2027-02-29"),
        ("files", ("end_date",), "2027-02-26T00:00:00Z"),
        ("salesforce", ("End_Date__c",), "2027-02-26T22:00:00.000+0000"),
        ("deel", ("termination_date",), "2027-02-26T23:00:00.000Z"),
        ("deel", ("termination_date",), "2027-02-26T00:00:00+02:00"),
        ("greenhouse", ("offer", "custom_fields", "end_date", "value"), "2027-02-26T08:00:00Z"),
        ("workmarket", ("scheduled_end",), "2027-02-26"),
        ("workmarket", ("scheduled_end",), 20270226),
    ],
)
def test_a_day_that_could_be_another_one_is_refused(key: str, place: Place, day: object) -> None:
    with pytest.raises(Unmappable) as refusal:
        MAPPINGS[key].apply(record(key, place, day))
    assert [fault.target for fault in refusal.value.faults] == ["terms.ends_on"]


def test_a_work_order_that_was_closed_before_it_was_to_be_terminated_ended_when_it_was_closed() -> None:
    later = {"Terminate At": "2027-02-10T16:00:00+00:00", "Closed At": "2027-01-29T16:00:00+00:00"}
    assert order("fieldglass", {**GIVEN["fieldglass"], "Status": "Closed", **later}).terms.terminates_at is not None
    told = MAPPINGS["fieldglass"].apply_only({**GIVEN["fieldglass"], "Status": "Closed", **later}, ["terms.terminates_at"])
    assert told == {"terms.terminates_at": "2027-01-29T16:00:00+00:00"}
