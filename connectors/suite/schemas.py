"""The part of the conformance suite that holds each connector against the JSON Schemas in its folder.

What its records hold is what ``source.schema.json`` says, and it takes what ``target.schema.json`` says it takes. Above all: ``None`` empties
a field that takes null, and a key that is absent leaves its field alone. Where a sink's ``read`` does not show what was written, a trial
shows it with ``Trial.shown``.
"""
# ruff: noqa: D103, S101 - a suite of tests that ships, as connectors/testing.py

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest

from connectors import catalogue
from connectors.records.schemas import source_schema, target_schema
from connectors.suite.operations import every_change
from connectors.suite.trial import an_instance
from connectors.testing import trial_of
from workforce.markers import new_marker

Names: TypeAlias = tuple[str, ...]

_KEYS = catalogue.known_keys()
SOURCES = [key for key in _KEYS if catalogue.load(key).can.source]
ESIGN = [key for key in _KEYS if catalogue.load(key).can.signing]
SINKS = [key for key in _KEYS if catalogue.load(key).can.sink]
DIRECTORIES = [key for key in _KEYS if catalogue.load(key).can.directory]

_OF_FORMAT: Mapping[str, str] = {
    "date": "2031-01-31", "date-time": "2031-01-31T12:00:00Z", "email": "ada@acme.example", "uri": "https://acme.example/ada",
    "uuid": "00000000-0000-4000-8000-000000000001",
}  # fmt: skip
_SAMPLES: tuple[object, ...] = (
    "Analytics", "2031-01-31", "ada@acme.example", "DE", "EUR", "en", "7", "95.00", "+49 30 1234567", "A", "003000000000001AAA", 7, 7.5, True, ["Analytics"],
    ["ada@acme.example"],
)  # fmt: skip


def _formats() -> jsonschema.FormatChecker:
    """The formats that ``jsonschema`` checks by itself, and instants, for which it wants one more package."""
    formats = jsonschema.FormatChecker()
    formats.checks("date-time", ValueError)(lambda text: not isinstance(text, str) or bool(datetime.fromisoformat(text).tzinfo))
    return formats


def _validator(schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema, format_checker=_formats())


def _told(schema: Mapping[str, Any] | None, values: Mapping[str, object], *, but: str = "") -> list[str]:
    """How ``values`` are not as described, without naming a value. Errors of the keyword ``but`` do not count."""
    errors = _validator(schema or {}).iter_errors(dict(values))
    return [
        f"{'/'.join(map(str, error.absolute_path)) or '(record)'}: {error.validator}"
        for error in errors
        if error.validator != but
    ]


# What comes from a connector


@pytest.mark.parametrize("key", SOURCES)
def test_every_record_of_a_source_is_as_its_schema_says(key: str, tmp_path: Path) -> None:
    trial = trial_of(key)
    with trial.open(tmp_path) as opened, an_instance(catalogue.load(key), opened.settings) as instance:
        ids = {trial.change_source(opened.sandbox, n) for n in (1, 2, 3, 1)}
        source = instance.source()
        records = [*every_change(source), *map(source.read, sorted(ids))]
    assert records
    assert [fault for record in records for fault in _told(source_schema(key), record.values)] == []


@pytest.mark.parametrize("key", ESIGN)
def test_an_envelope_is_as_its_schema_says_before_and_after_it_is_signed(key: str, tmp_path: Path) -> None:
    trial = trial_of(key)
    with trial.open(tmp_path) as opened, an_instance(catalogue.load(key), opened.settings) as instance:
        signing = instance.signing()
        envelope, other = (signing.send(trial.agreement(new_marker())) for _ in range(2))
        seen = [signing.status(envelope)]
        trial.sign(opened.sandbox, envelope)
        signing.void(other, "The engagement was cancelled")
        seen += [signing.status(envelope), signing.status(other)]
    assert [fault for record in seen for fault in _told(source_schema(key), record.values)] == []


TELLING = [key for key in _KEYS if catalogue.load(key).can.schemas]


@pytest.mark.parametrize("key", TELLING)
def test_the_fields_that_an_instance_tells_are_those_of_its_records(key: str, tmp_path: Path) -> None:
    trial, connector = trial_of(key), catalogue.load(key)
    with trial.open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        records = []
        if connector.can.source:
            trial.change_source(opened.sandbox, 1)
            records = every_change(instance.source())
        told = instance.schemas().read()
    assert told.source or told.target
    for schema in filter(None, (told.source, told.target)):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False, "what is not told is not there"
    assert [fault for record in records for fault in _told(told.source, record.values)] == []
    if told.target is not None:
        assert _told(told.target, trial.record(1), but="required") == []


# What goes to a connector


@pytest.mark.parametrize("key", SINKS)
def test_what_the_trial_writes_is_what_the_sinks_schema_allows(key: str) -> None:
    trial = trial_of(key)
    assert _told(target_schema(key), trial.record(1), but="required") == []
    assert _told(target_schema(key), trial.record_change(), but="required") == []


@pytest.mark.parametrize("key", DIRECTORIES)
def test_what_the_trial_writes_is_what_the_directorys_schema_allows(key: str) -> None:
    assert _told(target_schema(key), trial_of(key).account(new_marker()).attributes, but="required") == []


@pytest.mark.parametrize("key", SINKS)
def test_a_sink_empties_what_is_none_and_leaves_what_is_absent(key: str, tmp_path: Path) -> None:
    trial, fields = trial_of(key), _emptied(key)
    if not fields:
        pytest.skip("no field of it can be emptied")
    with trial.open(tmp_path) as opened, an_instance(catalogue.load(key), opened.settings) as instance:
        sink = instance.sink()
        external_id = sink.create(new_marker(), _filled(trial.record(1), key))

        def shown() -> Mapping[str, object]:
            held = trial.shown(opened.sandbox, external_id)
            return sink.read(external_id).values if held is None else held

        held = Held(lambda given: sink.update(external_id, given), shown)
        faults = list(_misread(held, fields, trial.record_change()))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("key", DIRECTORIES)
def test_a_directory_empties_what_is_none_and_leaves_what_is_absent(key: str, tmp_path: Path) -> None:
    trial, fields = trial_of(key), _emptied(key)
    if not fields:
        pytest.skip("no field of it can be emptied")
    with trial.open(tmp_path) as opened, an_instance(catalogue.load(key), opened.settings) as instance:
        directory, account = instance.directory(), trial.account(new_marker())
        account_id = directory.create(account)

        def shown() -> Mapping[str, object]:
            held = trial.shown(opened.sandbox, account_id)
            assert held is not None, "nothing else shows what a directory holds: trial.py needs the method shown"
            return held

        directory.update(account_id, _filled({}, key))
        held = Held(lambda given: directory.update(account_id, given), shown)
        faults = list(_misread(held, fields, account.attributes))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("key", DIRECTORIES)
def test_a_directory_shows_of_an_account_what_it_was_given_and_what_it_holds(key: str, tmp_path: Path) -> None:
    trial, connector = trial_of(key), catalogue.load(key)
    with trial.open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        directory, account = instance.directory(), trial.account(new_marker())
        account_id = directory.create(account)
        given, first = dict(account.attributes), directory.read(account_id).attributes
        if first is None:
            pytest.skip("it shows no attributes")
        directory.update(account_id, _filled({}, key))
        now, held = directory.read(account_id).attributes or {}, trial.shown(opened.sandbox, account_id) or {}
    if connector.login_attribute is not None:
        given[connector.login_attribute] = account.login
    fields = [names for names, _ in _leaves(target_schema(key) or {})]
    lost = [names for names in fields if _at(given, names) is not None and _at(first, names) != _at(given, names)]
    wrong = [names for names in fields if names[0] in now and not _same(_at(now, names), _at(held, names))]
    assert [".".join(names) for names in lost + wrong] == []


@dataclass(frozen=True, slots=True)
class Held:
    """A record or an account that is being tried: how it is updated, and what is held now."""

    update: Callable[[Mapping[str, object]], None]
    shown: Callable[[], Mapping[str, object]]


def _misread(held: Held, fields: Iterable[Names], change: Mapping[str, object]) -> Iterator[str]:
    """Which fields are not left alone by a change of others, and which are not emptied by ``None``."""
    before = held.shown()
    visible = [names for names in fields if not _is_empty(_at(before, names))]
    yield from (f"{'.'.join(names)}: not shown with the value that it was given" for names in fields if names not in visible)
    held.update(change)
    after = held.shown()
    yield from (
        f"{'.'.join(names)}: lost, or changed, by a change of others"
        for names in visible
        if names[0] not in change and _at(after, names) != _at(before, names)
    )
    for position, names in enumerate(visible):
        held.update(_nested(names, None))
        now = held.shown()
        if not _is_empty(_at(now, names)):
            yield f"{'.'.join(names)}: None does not empty it"
        yield from (
            f"{'.'.join(other)}: emptied with {'.'.join(names)}"
            for other in visible[position + 1 :]
            if _is_empty(_at(now, other))
        )


def _emptied(key: str) -> list[Names]:
    """The fields of a target that take null."""
    return list(_of_each_emptied(key))


def _filled(values: Mapping[str, object], key: str) -> dict[str, object]:
    """``values``, and something in each field that takes null."""
    filled = dict(values)
    for names, sample in _of_each_emptied(key).items():
        filled = _merged(filled, _nested(names, sample)) if _is_empty(_at(filled, names)) else filled
    return filled


def _of_each_emptied(key: str) -> dict[Names, object]:
    """A sample for each field of a target that takes null, without those that the trial leaves out."""
    own = trial_of(key).samples
    nullable = [(names, schema) for names, schema in _leaves(target_schema(key) or {}) if _validator(schema).is_valid(None)]
    return {
        names: own.get(".".join(names), _sample(schema))
        for names, schema in nullable
        if own.get(".".join(names), names) is not None
    }


def _leaves(schema: Mapping[str, Any], above: Names = ()) -> Iterator[tuple[Names, Mapping[str, Any]]]:
    """The fields of an object and of the objects inside of it, unless null stands for such a one as a whole."""
    for name, inner in schema.get("properties", {}).items():
        if isinstance(inner, Mapping):
            is_taken_apart = "properties" in inner and inner["type"] == "object"
            yield from _leaves(inner, (*above, name)) if is_taken_apart else [((*above, name), inner)]


def _sample(schema: Mapping[str, Any]) -> object:
    """A value that the schema allows and that is not null; ``None`` where none of ours is."""
    if "enum" in schema:
        return next((word for word in schema["enum"] if word is not None), None)
    if "properties" in schema:
        return {name: _sample(schema["properties"][name]) for name in schema.get("required") or schema["properties"]}
    of_format = _OF_FORMAT.get(schema.get("format", ""))
    wanted = [of_format] if of_format else [*_SAMPLES, *([[_sample(schema["items"])]] if "items" in schema else [])]
    return next((sample for sample in wanted if _validator(schema).is_valid(sample)), None)


def _nested(names: Names, value: object) -> dict[str, object]:
    for name in reversed(names):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def _merged(into: Mapping[str, object], more: Mapping[str, object]) -> dict[str, object]:
    merged = dict(into)
    for name, value in more.items():
        there = merged.get(name)
        merged[name] = _merged(there, value) if isinstance(there, Mapping) and isinstance(value, Mapping) else value
    return merged


def _at(values: Mapping[str, object], names: Names) -> object:
    node: object = values
    for name in names:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _same(one: object, other: object) -> bool:
    return one == other or (_is_empty(one) and _is_empty(other))


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})
