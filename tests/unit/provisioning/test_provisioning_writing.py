"""What is written of a record: only what has to change, by strength, and never over what belongs to somebody else."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.writing import WritePlan, alike, equal, is_empty, names, plan_write, put
from workforce.lineage import MappedField, MappingUsed, RecordWrite

MAPPING = MappingUsed(mapping_id="engagement__gusto", version="v0001", sha256="a" * 64)
TARGETS = ("email", "name.given", "name.family", '"Cost Center"', "rate")
STRENGTHS = ("strong", "normal", "weak")

values = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "x", "y", "1.0", "a@b.example", "A@b.example"])
)
fields = st.builds(lambda value, strength: MappedField(value=value, strength=strength), values, st.sampled_from(STRENGTHS))
wanted_fields = st.dictionaries(st.sampled_from(TARGETS), fields)
records = st.dictionaries(st.sampled_from(TARGETS), values)
targets = st.sets(st.sampled_from(TARGETS))


def field(value: object, strength: str = "normal") -> MappedField:
    return MappedField(value=value, strength=strength)


def stood(**fields: MappedField) -> RecordWrite:
    return RecordWrite(system="gusto", mapping=MAPPING, fields=fields)


def plan(
    wanted: dict[str, MappedField], said: dict[str, MappedField] | None = None, found: dict[str, Any] | None = None, **more: Any
) -> WritePlan:
    standing = None if said is None else stood(**said)
    return plan_write(wanted, cleared=more.pop("cleared", ()), standing=standing, found=found, **more)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for target, value in flat.items():
        put(made, target, value)
    return made


def merged(found: dict[str, Any] | None, changes: dict[str, Any]) -> dict[str, Any]:
    """The record after a write, as every sink merges it."""
    result = deepcopy(found or {})
    for name, value in changes.items():
        inner = result.get(name)
        result[name] = merged(inner if isinstance(inner, dict) else {}, value) if isinstance(value, dict) else value
    return result


# What is written


def test_a_new_record_is_written_whole_and_nested() -> None:
    new = plan({"email": field("a@b.example"), "name.given": field("Ada", "weak"), "phone": field(None)}, cleared=("fax",))
    assert new.values() == {"email": "a@b.example", "name": {"given": "Ada"}, "phone": None, "fax": None}
    assert new.changed == ("email", "fax", "name.given", "phone")
    assert set(new.result) == set(new.changed)
    assert new.conflicts == ()


def test_a_record_that_shows_what_we_say_is_not_written() -> None:
    said = {"email": field("a@b.example", "strong"), "rate": field("95.00", "strong")}
    assert plan(said, said, {"email": "A@B.example ", "rate": "95.0", "more": 1}).is_empty


@pytest.mark.parametrize(("strength", "written"), [("strong", ("rate",)), ("normal", ()), ("weak", ())])
def test_only_a_strong_field_undoes_a_change_by_hand(strength: str, written: tuple[str, ...]) -> None:
    said = {"rate": field("95.00", strength)}
    assert plan(said, said, {"rate": "97.00"}).changed == written


@pytest.mark.parametrize(("strength", "written"), [("strong", ("rate",)), ("normal", ("rate",)), ("weak", ())])
def test_a_new_word_of_ours_overwrites_a_change_by_hand_unless_it_is_weak(strength: str, written: tuple[str, ...]) -> None:
    changed = plan({"rate": field("99.00", strength)}, {"rate": field("95.00", strength)}, {"rate": "97.00"})
    assert changed.changed == written


@pytest.mark.parametrize("empty", [None, "", "  ", []])
def test_a_weak_field_is_filled_where_the_target_shows_that_it_is_empty(empty: object) -> None:
    assert plan({"phone": field("1", "weak")}, {}, {"phone": empty}).values() == {"phone": "1"}


def test_a_weak_field_that_the_target_does_not_show_is_left_alone_because_it_may_be_filled() -> None:
    assert plan({"phone": field("1", "weak")}, {}, {}).is_empty


@pytest.mark.parametrize("strength", ["strong", "normal"])
def test_what_the_target_does_not_show_is_written_when_our_word_has_changed(strength: str) -> None:
    said = {"title": field("Engineer", strength)}
    assert plan(said, said, {}).is_empty
    assert plan({"title": field("Lead", strength)}, said, {}).values() == {"title": "Lead"}


def test_what_the_mapping_leaves_out_is_left_alone_and_still_stands() -> None:
    left = plan({}, {"phone": field("1")}, {"phone": "2"})
    assert (left.is_empty, left.conflicts, left.result) == (True, (), {"phone": field("1")})


def test_clearing_removes_a_value_once() -> None:
    clearing = plan({}, {"phone": field("1")}, {"phone": "1"}, cleared=("phone",))
    assert clearing.values() == {"phone": None}
    again = plan_write({}, cleared=("phone",), standing=stood(**clearing.result), found={"phone": None})
    assert again.is_empty


def test_null_and_clear_are_both_written_as_none() -> None:
    said = {"one": field("1"), "two": field("2")}
    assert plan({"one": field(None)}, said, {"one": "1", "two": "2"}, cleared=("two",)).values() == {"one": None, "two": None}


def test_a_part_of_what_is_shown_as_empty_is_empty() -> None:
    assert plan({"name.given": field("Ada", "weak")}, {}, {"name": None}).values() == {"name": {"given": "Ada"}}


def test_a_change_tells_what_stood_before_and_shows_no_value_by_itself() -> None:
    (change,) = plan({"rate": field("99.00", "strong")}, {"rate": field("95.00")}, {"rate": "97.00"}).changes
    assert (change.before, change.after, change.strength) == ("97.00", "99.00", "strong")
    assert "99" not in repr(change)
    (unshown,) = plan({"rate": field("99.00")}, {"rate": field("95.00")}, {}).changes
    assert unshown.before == "95.00"


def test_another_way_of_writing_what_changed_is_written() -> None:
    assert plan({"code": field("1.10")}, {"code": field("1.1")}, {"code": "1.1"}).values() == {"code": "1.10"}


# Who owns it


def test_what_belongs_to_the_target_is_filled_once_and_never_overwritten() -> None:
    phone = {"phone": field("1", "strong")}
    assert plan(phone, kept=("phone",)).values() == {"phone": "1"}
    assert plan(phone, {}, {"phone": None}, kept=("phone",)).values() == {"phone": "1"}
    assert plan({"phone": field("2", "strong")}, phone, {"phone": None}, kept=("phone",)).is_empty
    assert plan(phone, {}, {"phone": "9"}, kept=("phone",)).is_empty


def test_its_owner_may_change_it_without_a_conflict() -> None:
    phone = {"phone": field("1")}
    assert plan(phone, phone, {"phone": "9"}, kept=("phone",)).conflicts == ()


def test_another_word_of_the_owners_rival_is_a_conflict_until_they_agree() -> None:
    said, rival = {"phone": field("1")}, {"phone": field("2")}
    contested = plan(rival, said, {"phone": "1"}, kept=("phone",))
    assert [(c.target, c.ours, c.found) for c in contested.conflicts] == [("phone", "2", "1")]
    assert plan(rival, said, {"phone": "2"}, kept=("phone",)).conflicts == ()


def test_a_change_by_hand_is_a_conflict_that_remains_unless_it_is_overwritten() -> None:
    said = {"strong": field("1", "strong"), "normal": field("1"), "weak": field("1", "weak")}
    changed = plan(said, said, dict.fromkeys(said, "2"))
    assert [conflict.target for conflict in changed.conflicts] == ["normal", "strong"]
    assert [conflict.target for conflict in changed.remaining()] == ["normal"]


def test_a_change_by_hand_to_what_we_say_now_is_no_conflict() -> None:
    assert plan({"rate": field("99")}, {"rate": field("95")}, {"rate": "99.0"}).conflicts == ()


# What the target writes in its own way


def written_as(shown: Any, wanted: dict[str, MappedField], found: dict[str, Any] | None = None) -> WritePlan:
    """A first writing that the target then shows as ``shown``."""
    return plan(wanted, None if found is None else {}, found).read_back(shown)


COUNTRY = {"country": field("DE")}


@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_targets_own_way_of_writing_is_neither_a_conflict_nor_written_again(strength: str) -> None:
    wanted = {"country": field("DE", strength)}
    first = written_as({"country": "Germany"}, wanted)
    again = plan(wanted, first.result, {"country": " Germany"})
    assert (again.changes, again.conflicts, again.result) == ((), (), first.result)


def test_a_change_by_hand_of_what_the_target_writes_in_its_own_way_is_a_conflict() -> None:
    first = written_as({"country": "Germany"}, COUNTRY)
    (conflict,) = plan(COUNTRY, first.result, {"country": "France"}).conflicts
    assert conflict.found == "France"
    strong = {"country": field("DE", "strong")}
    put_right = plan(strong, first.result, {"country": "France"})
    assert put_right.values() == {"country": "DE"}
    assert put_right.read_back({"country": "Germany"}).result["country"].shown == "Germany"


def test_another_word_of_ours_forgets_how_the_target_wrote_the_last() -> None:
    first = written_as({"country": "Germany"}, COUNTRY)
    other = plan({"country": field("FR")}, first.result, {"country": "Germany"})
    assert (other.values(), other.conflicts) == ({"country": "FR"}, ())
    assert other.result["country"].shown is None
    assert other.read_back({"country": "France"}).result["country"].shown == "France"


@pytest.mark.parametrize("shown", [{}, {"country": None}, {"country": ""}, {"country": "Freedonia"}])
def test_nothing_and_what_was_there_before_are_no_way_of_writing(shown: dict[str, Any]) -> None:
    first = written_as(shown, COUNTRY, {"country": "Freedonia"})
    assert (first.changed, first.result["country"].shown) == (("country",), None)


def test_what_was_not_written_is_not_learnt_from() -> None:
    idle = plan(COUNTRY, COUNTRY, {"country": "Poetry"})
    assert idle.read_back({"country": "Poetry"}).result["country"].shown is None


def test_what_is_emptied_has_no_way_of_writing() -> None:
    emptied = plan({"phone": field(None)}, {"phone": field("1")}, {"phone": "1"})
    assert emptied.read_back({"phone": "none"}).result["phone"].shown is None


# What always holds


def rewritten(value: Any) -> Any:
    """A target with a way of writing of its own, one value for each."""
    return value if is_empty(value) else f"<{value}>"


@given(wanted=wanted_fields, said=st.none() | wanted_fields, found=st.none() | records, kept=targets)
def test_a_target_that_writes_everything_otherwise_is_left_in_peace_once_it_was_read_back(
    wanted: dict[str, MappedField], said: dict[str, MappedField] | None, found: dict[str, Any] | None, kept: set[str]
) -> None:
    flat = None if found is None else nested(found)
    standing = None if said is None else RecordWrite(system="gusto", mapping=MAPPING, fields=said)
    first = plan_write(wanted, cleared=(), standing=standing, found=flat, kept=kept)
    there = merged(flat, nested({change.target: rewritten(change.after) for change in first.changes}))
    after = RecordWrite(system="gusto", mapping=MAPPING, fields=first.read_back(there).result)
    again = plan_write(wanted, cleared=(), standing=after, found=there, kept=kept)
    assert again.is_empty
    assert not {conflict.target for conflict in again.conflicts} & set(first.changed)
    assert again.result == after.fields


@given(wanted=wanted_fields, said=st.none() | wanted_fields, found=st.none() | records, seen=records)
def test_reading_back_changes_nothing_but_how_the_target_writes_what_was_written(
    wanted: dict[str, MappedField],
    said: dict[str, MappedField] | None,
    found: dict[str, Any] | None,
    seen: dict[str, Any],
) -> None:
    first = plan(wanted, said, None if found is None else nested(found))
    read = first.read_back(nested(seen))
    assert (read.changes, read.conflicts, read.result.keys()) == (first.changes, first.conflicts, first.result.keys())
    learnt = {target for target, known in read.result.items() if known != first.result[target]}
    assert learnt <= set(first.changed)
    unlearnt = {target: known.model_copy(update={"shown": None}) for target, known in read.result.items()}
    assert unlearnt == first.result


@given(wanted=wanted_fields, cleared=targets, said=st.none() | wanted_fields, found=st.none() | records, kept=targets)
def test_planning_again_after_writing_finds_nothing_to_do(
    wanted: dict[str, MappedField],
    cleared: set[str],
    said: dict[str, MappedField] | None,
    found: dict[str, Any] | None,
    kept: set[str],
) -> None:
    flat = None if found is None else nested(found)
    standing = None if said is None else RecordWrite(system="gusto", mapping=MAPPING, fields=said)
    cleared -= wanted.keys()
    first = plan_write(wanted, cleared=cleared, standing=standing, found=flat, kept=kept)
    after = RecordWrite(system="gusto", mapping=MAPPING, fields=first.result)
    again = plan_write(wanted, cleared=cleared, standing=after, found=merged(flat, first.values()), kept=kept)
    assert again.is_empty
    assert again.result == first.result
    unread = plan_write(wanted, cleared=cleared, standing=after, found=None, kept=kept)
    assert unread.is_empty or found is not None


@given(wanted=wanted_fields, said=st.none() | wanted_fields, found=records)
def test_a_weak_field_never_overwrites(
    wanted: dict[str, MappedField], said: dict[str, MappedField] | None, found: dict[str, Any]
) -> None:
    standing = None if said is None else RecordWrite(system="gusto", mapping=MAPPING, fields=said)
    written = plan_write(wanted, cleared=(), standing=standing, found=nested(found)).changed
    filled = {target for target, value in found.items() if not is_empty(value)}
    assert not {target for target in written if wanted[target].strength == "weak"} & filled


@given(said=wanted_fields, found=records)
def test_a_normal_field_never_undoes_a_change_by_hand_without_a_new_word_of_ours(
    said: dict[str, MappedField], found: dict[str, Any]
) -> None:
    standing = RecordWrite(system="gusto", mapping=MAPPING, fields=said)
    written = plan_write(said, cleared=(), standing=standing, found=nested(found)).changed
    assert not [target for target in written if said[target].strength == "normal"]


@given(wanted=wanted_fields, said=wanted_fields, found=records, kept=targets)
def test_what_the_target_owns_is_never_overwritten(
    wanted: dict[str, MappedField], said: dict[str, MappedField], found: dict[str, Any], kept: set[str]
) -> None:
    standing = RecordWrite(system="gusto", mapping=MAPPING, fields=said)
    written = plan_write(wanted, cleared=(), standing=standing, found=nested(found), kept=kept).changed
    assert not set(written) & kept & {target for target, value in found.items() if not is_empty(value)}


@given(wanted=wanted_fields, said=wanted_fields, found=records, kept=targets, seed=st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(
    wanted: dict[str, MappedField],
    said: dict[str, MappedField],
    found: dict[str, Any],
    kept: set[str],
    seed: random.Random,
) -> None:
    def shuffled(one: dict[str, Any]) -> dict[str, Any]:
        return dict(seed.sample(sorted(one.items(), key=lambda item: item[0]), len(one)))

    def planned(wanted: dict[str, MappedField], said: dict[str, MappedField], found: dict[str, Any]) -> WritePlan:
        standing = RecordWrite(system="gusto", mapping=MAPPING, fields=said)
        return plan_write(wanted, cleared=(), standing=standing, found=nested(found), kept=kept)

    assert planned(shuffled(wanted), shuffled(said), shuffled(found)) == planned(wanted, said, found)


@given(
    start=st.tuples(records, records),
    changes=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(TARGETS), values), max_size=8),
    strengths=st.fixed_dictionaries({target: st.sampled_from(STRENGTHS) for target in TARGETS}),
    owner=st.dictionaries(st.sampled_from(TARGETS), st.integers(0, 1)),
)
def test_two_systems_whose_changes_are_fed_to_each_other_settle(
    start: tuple[dict[str, Any], dict[str, Any]],
    changes: list[tuple[int, str, Any]],
    strengths: dict[str, str],
    owner: dict[str, int],
) -> None:
    systems = [dict(record) for record in start]
    standing = [RecordWrite(system=str(i), mapping=MAPPING, fields={}) for i in range(2)]

    def feed(source: int) -> bool:
        """Write what ``source`` shows into the other; whether there was anything to write."""
        sink = 1 - source
        wanted = {t: MappedField(value=v, strength=strengths[t]) for t, v in systems[source].items()}
        kept = {target for target in wanted if owner.get(target) == sink}
        made = plan_write(wanted, cleared=(), standing=standing[sink], found=nested(systems[sink]), kept=kept)
        systems[sink].update({change.target: change.after for change in made.changes})
        standing[sink] = RecordWrite(system=str(sink), mapping=MAPPING, fields=made.result)
        return not made.is_empty

    for changed, target, value in [(0, "rate", "x"), *changes]:
        systems[changed][target] = value
        rounds = 0
        while any([feed(changed), feed(1 - changed)]):
            rounds += 1
            assert rounds <= 2


# How values compare


@pytest.mark.parametrize(
    ("one", "other"), [("95.0", "95.00"), (95, "95"), ("A@b.example", "a@B.example "), (None, ""), ([], None), (True, "true")]
)
def test_these_are_alike(one: object, other: object) -> None:
    assert alike(one, other)
    assert alike({"a": [one]}, {"a": [other]})


@pytest.mark.parametrize(
    ("one", "other"), [("007", "7"), (True, 1), ("Ada", "ada"), (0, None), (False, None), ("1", "2"), ([1], [1, 2])]
)
def test_these_are_not(one: object, other: object) -> None:
    assert not alike(one, other)
    assert not equal(one, other)


@given(st.lists(st.sampled_from(["x", "y", "1.0", "a@b.example"]), max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_a_directorys_values_does_not_matter_and_their_number_does(items: list[str], seed: random.Random) -> None:
    assert alike(items, seed.sample(items, len(items)))
    assert not alike(items, [*items, "x"]) or (items, [*items, "x"]) == ([], ["x"])
    assert alike("x", ["x"])


def test_targets_are_nested_by_dots_and_quoted_where_they_have_other_characters() -> None:
    assert names('name."Start \\"Date\\"".year') == ("name", 'Start "Date"', "year")
    with pytest.raises(TypeError, match="overlap"):
        put({"name": "x"}, "name.given", "y")
