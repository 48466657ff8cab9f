"""The conformance suite: what holds for every connector, tried without a line of test code for any of them.

It finds the connectors through the catalogue and what they need through each one's ``trial.py``. To run it for one's own:
``pytest connectors/testing.py -k acme``. The vendors' descriptions are looked for beside the repository; where one is missing, the tests
that need it are skipped and say so. Another place: define the fixture ``descriptions`` in the module that imports the suite (one in a ``conftest.py``
comes too late).

The fault matrix is that of the guarantees: whatever goes wrong on the wire, an operation is done, is to be tried again, is unknown, or is
refused. None is guessed, and no write is sent twice.
"""

from __future__ import annotations

import importlib
import json
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr, ValidationError

from connectors import catalogue
from connectors.contract import Connector, ConnectorSettings
from connectors.suite.description import VendorSpec
from connectors.suite.forgery import mutated, without
from connectors.suite.operations import every_change, operations_of, scene, secrets_in
from connectors.suite.sandbox import Fault, FaultKind
from connectors.suite.scenes import Scene, Stage
from connectors.suite.trial import Delivery, Opened, Trial, Wire, an_instance
from workforce.errors import BadSignature, HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater, UnusableContent

FOLDER = Path(__file__).parent
IMPATIENT_SECONDS = 0.8
"""The deadline of one call that is never answered: long enough for a loaded machine, short enough for hundreds of them."""
PATIENCE_SECONDS = 0.2
MUTATIONS = 20_000
QUALITY_RULES = frozenset({
    "settings_frozen", "secrets_are_secret", "check_is_cheap", "writes_are_sent_once", "lost_reply_is_found",
    "throttling_is_classified", "pages_to_the_end", "errors_in_taxonomy", "webhook_signature_verified",
    "requests_match_description", "sandbox_is_stateful", "nothing_sensitive_in_errors", "facts_from_memory_named",
})  # fmt: skip
_NOT_DONE_IS_SURE = frozenset({FaultKind.BUSY_BEFORE, FaultKind.THROTTLED_BEFORE, FaultKind.THROTTLED_BARE_BEFORE})
_PERMITTED: Mapping[FaultKind, tuple[type[HubError], ...]] = {
    FaultKind.EXPIRED_BEFORE: (Misconfigured,),
    FaultKind.FORBIDDEN_BEFORE: (Refused, Misconfigured, RetryLater),
    FaultKind.REFUSED_BEFORE: (Refused, Misconfigured),
}
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2,}")
_SECRET_NAME = re.compile(r"(secret|password|private_key|api_key|signing_key|(access|refresh|api|bot|ssws)_token)s?$")

KEYS = catalogue.known_keys()
OPERATIONS = [(key, operation) for key in KEYS for operation in operations_of(catalogue.load(key))]


@cache
def trial_of(key: str) -> Trial[Any]:
    """The trial of one connector."""
    trial: Trial[Any] = importlib.import_module(f"connectors.{key}.trial").TRIAL
    return trial


@pytest.fixture(scope="session")
def descriptions() -> Path:
    """The folder of the vendors' descriptions."""
    return FOLDER.parents[1] / "shared" / "vendor-specs"


@pytest.fixture(params=KEYS)
def connector(request: pytest.FixtureRequest) -> Connector[Any, Any]:
    """Each connector in turn."""
    return catalogue.load(request.param)


# The declaration


def test_the_settings_form_is_frozen_closed_and_keeps_its_secrets(connector: Connector[Any, Any]) -> None:
    config = connector.settings.model_config
    assert issubclass(connector.settings, ConnectorSettings)
    assert config.get("frozen")
    assert config.get("extra") == "forbid"
    open_secrets = [
        name
        for name, described in connector.settings.model_fields.items()
        if _SECRET_NAME.search(name) and "SecretStr" not in str(described.annotation)
    ]
    assert open_secrets == []


def test_the_settings_schema_is_the_one_that_was_published(connector: Connector[Any, Any]) -> None:
    published = json.loads((FOLDER / connector.key / "settings.schema.json").read_text(encoding="utf-8"))
    told = "a changed form is a change for users: write the file anew, as docs/connectors/writing-one.md says"
    assert published == connector.settings.model_json_schema(), told


def test_a_connector_tells_its_capabilities_limits_and_evidence(connector: Connector[Any, Any]) -> None:
    assert connector.key == connector.settings.__module__.split(".")[1]
    assert connector.can.names()
    assert connector.title.strip()
    assert connector.limits.strip()
    described = trial_of(connector.key).description
    assert (described is not None) == (connector.evidence.description is not None)


def test_a_connector_that_is_pushed_events_can_be_asked_for_lost_ones(connector: Connector[Any, Any]) -> None:
    if connector.can.webhooks:
        assert connector.can.source or connector.can.backfill


def test_the_quality_file_answers_for_every_rule_as_the_code_does(connector: Connector[Any, Any]) -> None:
    rules = yaml.safe_load((FOLDER / connector.key / "quality.yaml").read_text(encoding="utf-8"))["rules"]
    assert set(rules) == QUALITY_RULES
    for rule, answer in rules.items():
        assert set(answer) <= {"status", "reason"}, rule
        assert answer["status"] in {"done", "exempt"}, rule
        assert answer["status"] == "done" or str(answer.get("reason", "")).strip(), f"{rule}: exempt needs a reason"
    done = {rule for rule, answer in rules.items() if answer["status"] == "done"}
    assert ("webhook_signature_verified" in done) <= (connector.can.webhooks is not None)
    assert ("requests_match_description" in done) == (trial_of(connector.key).description is not None)
    assert {"settings_frozen", "secrets_are_secret", "errors_in_taxonomy", "nothing_sensitive_in_errors"} <= done


def test_a_connector_is_small_and_has_the_files_that_every_connector_has(connector: Connector[Any, Any]) -> None:
    folder = FOLDER / connector.key
    sources = [path for path in folder.rglob("*.py") if not trial_of(connector.key).is_stand_in(path.stem)]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources)
    assert lines <= trial_of(connector.key).max_lines, f"{lines} lines in {sorted(path.name for path in sources)}"
    assert {"__init__.py", "settings.py", "client.py", "sandbox.py", "trial.py", "quality.yaml"} <= {
        path.name for path in folder.iterdir()
    }


def test_every_operation_is_tried_or_says_why_not(connector: Connector[Any, Any]) -> None:
    trial, operations = trial_of(connector.key), set(operations_of(connector))
    assert set(trial.wires) | set(trial.untried) >= operations
    assert set(trial.wires) <= operations
    assert not set(trial.wires) & set(trial.untried)


# The check


def test_the_check_is_good_with_what_is_right(connector: Connector[Any, Any], tmp_path: Path) -> None:
    with trial_of(connector.key).open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        result = instance.client.check()
    assert result.ok, result.detail


def test_the_check_is_bad_with_wrong_secrets_and_says_none_of_them(connector: Connector[Any, Any], tmp_path: Path) -> None:
    trial = trial_of(connector.key)
    with trial.open(tmp_path) as opened:
        right = connector.settings.model_validate(opened.settings)
        wrong = _with_other_secrets(right)
        if wrong is None or "check.secrets" in trial.untried:
            pytest.skip(trial.untried.get("check.secrets", "this form holds no secret that could be wrong"))
        with an_instance(connector, wrong) as instance:
            result = instance.client.check()
    assert not result.ok
    assert not [secret for secret in secrets_in(connector.settings.model_validate(wrong)) if secret in result.detail]


def test_the_check_is_bad_and_raises_nothing_where_nobody_answers(connector: Connector[Any, Any], tmp_path: Path) -> None:
    trial = trial_of(connector.key)
    if "check.nobody" in trial.untried:
        pytest.skip(trial.untried["check.nobody"])
    with trial.open(tmp_path) as opened:
        form = _impatient(connector, opened)
    with an_instance(connector, form) as instance:
        assert not instance.client.check().ok


def _with_other_secrets(settings: ConnectorSettings) -> dict[str, Any] | None:
    """The form with every secret replaced by another of its kind; ``None`` where it holds none."""
    changed = {
        name: _other(value)
        for name in type(settings).model_fields
        if (value := getattr(settings, name)) is not None and list(secrets_in(value))
    }
    return {**settings.model_dump(exclude_none=True), **changed} if changed else None


def _other(value: Any) -> Any:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return _another_key() if text.startswith("-----BEGIN") else "".join(_rotated(letter) for letter in text)
    return [_other(item) for item in value] if isinstance(value, list | tuple | set | frozenset) else value


def _rotated(letter: str) -> str:
    """Another letter of the same kind, so that the form takes it."""
    return {"9": "0", "z": "a", "Z": "A"}.get(letter, chr(ord(letter) + 1)) if letter.isalnum() and letter.isascii() else letter


@cache
def _another_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*pem).decode()


# The fault matrix


@dataclass
class Watch:
    """Everything that was said while an operation ran: errors, events of structlog, lines of the standard log."""

    texts: list[str] = field(default_factory=list)


@contextmanager
def watched(caplog: pytest.LogCaptureFixture) -> Iterator[Watch]:
    """Collects what is said within the block."""
    watch = Watch()
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.WARNING, logger="httpx")  # as in every process of ours: it would log addresses with their queries
    with structlog.testing.capture_logs() as events:
        yield watch
    watch.texts += [str(event) for event in events] + [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("key", "operation"), OPERATIONS, ids=[f"{key}-{operation}" for key, operation in OPERATIONS])
def test_whatever_goes_wrong_nothing_is_guessed_and_no_write_is_sent_twice(
    key: str, operation: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connector, trial = catalogue.load(key), trial_of(key)
    if operation in trial.untried:
        pytest.skip(trial.untried[operation])
    assert operation in trial.wires, f"name it in wires, or in untried with the reason: {operation}"
    faults: list[str] = []
    with trial.open(tmp_path) as opened, watched(caplog) as watch:
        for n, kind in enumerate(sorted(trial.fault_kinds), start=1):
            with an_instance(connector, _impatient(connector, opened) if kind.is_endless else opened.settings) as instance:
                stage = Stage(trial, opened, instance, n)
                faults += [f"{kind.name}: {fault}" for fault in _faults_of(operation, stage, kind, watch)]
    secrets = [secret for secret in secrets_in(connector.settings.model_validate(opened.settings)) if len(secret) >= 8]
    faults += [f"a secret is told: {text[:80]}…" for text in watch.texts if any(secret in text for secret in secrets)]
    faults += [f"somebody's address is told: {text[:80]}…" for text in watch.texts if _ADDRESS.search(text)]
    assert not faults, "\n".join(faults)


def _impatient(connector: Connector[Any, Any], opened: Opened[Any]) -> dict[str, Any]:
    """The sandbox's form with a short deadline, where the connector has one."""
    given = {"timeout_seconds": IMPATIENT_SECONDS} if "timeout_seconds" in connector.settings.model_fields else {}
    return {**opened.settings, **given}


def _faults_of(operation: str, stage: Stage, kind: FaultKind, watch: Watch) -> Iterator[str]:
    """What an operation does wrong when its request meets a fault of ``kind``."""
    wire, effects, waiting = stage.trial.wires[operation], stage.sandbox.effects, stage.sandbox.faults.waiting
    ready = scene(operation, stage)
    before = effects.count(wire.effect) if wire.effect else 0
    stage.sandbox.faults.plan(Fault(kind, wire.method, wire.path))
    result, error = _outcome(ready.run, watch)
    done = effects.count(wire.effect) - before if wire.effect else 0
    if waiting:
        waiting.clear()
        yield f"no request matches {wire.method} {wire.path}, so nothing was tried"
        return
    if isinstance(error, Exception) and not isinstance(error, HubError):
        yield f"{type(error).__name__} is none of the four errors"
        return
    yield from _misjudged(wire, kind, error, done)
    if error is None and not _is_right(ready, result):
        yield "it was reported as done, and the result is not right"
    if error is not None:
        yield from _not_mended(ready, wire, error, done, lambda: effects.count(wire.effect) - before if wire.effect else 0)


def _outcome(run: Callable[[], Any], watch: Watch) -> tuple[Any, Exception | None]:
    try:
        return run(), None
    except Exception as error:  # noqa: BLE001 - the suite judges which are allowed
        watch.texts.append(f"{error!r} {getattr(error, 'field', '')}")
        return None, error


def _misjudged(wire: Wire, kind: FaultKind, error: Exception | None, done: int) -> Iterator[str]:
    """How the outcome was told, against what really happened at the vendor (``done`` times)."""
    told = type(error).__name__ if error else "done"
    if done > 1:
        yield f"it was done {done} times"
    if wire.effect is None and isinstance(error, OutcomeUnknown):
        yield "a read has no unknown outcome"
    if wire.effect is not None:
        yield from _misjudged_write(kind, error, done)
    allowed = _PERMITTED.get(kind, ())
    if wire.effect is None and error is not None and not isinstance(error, (RetryLater, *allowed)):
        yield f"a read that can be tried again is told as {told}"
    if allowed and error is not None and not isinstance(error, allowed):
        yield f"a refusal, or rights that do not suffice, and it is told as {told}"


def _misjudged_write(kind: FaultKind, error: Exception | None, done: int) -> Iterator[str]:
    told = type(error).__name__
    if kind.is_after and error is not None and not isinstance(error, OutcomeUnknown):
        yield f"it was done and is told as {told}"
    if error is None and done == 0:
        yield "it was not done and is told as done"
    if kind in _NOT_DONE_IS_SURE and error is not None and not isinstance(error, RetryLater):
        yield f"the vendor said that it did nothing, and it is told as {told}"
    if kind is FaultKind.TIMEOUT_BEFORE and error is not None and not isinstance(error, OutcomeUnknown):
        yield f"nobody knows whether it was done, and it is told as {told}"


def _not_mended(ready: Scene, wire: Wire, error: Exception, done: int, times: Callable[[], int]) -> Iterator[str]:
    """Whether recovery works: a creation is looked up and issued again only where it was not done; anything else is issued again."""
    if ready.is_found is not None and isinstance(error, OutcomeUnknown):
        if ready.is_found() != (done == 1):
            yield f"it was done {done} times, and looking it up says otherwise"
        if done:
            return
    if isinstance(error, RetryLater):
        if (error.after_seconds or 0.0) > PATIENCE_SECONDS:
            return  # nothing more is sent before that
        time.sleep(error.after_seconds or 0.0)
    try:
        if not _is_right(ready, ready.run()):
            yield "it was issued again, and the result is not right"
    except HubError as again:
        yield f"it cannot be issued again: {type(again).__name__} ({again.cause})"
    if ready.is_found is not None and wire.effect and times() > 1:
        yield f"after recovery it was done {times()} times"


def _is_right(ready: Scene, result: Any) -> bool:
    """Whether it is; what cannot even be read is not."""
    try:
        return ready.is_right(result)
    except HubError:
        return False


# The description


def test_every_request_and_every_answer_is_as_the_vendor_describes_it(
    connector: Connector[Any, Any], descriptions: Path, tmp_path: Path
) -> None:
    trial = trial_of(connector.key)
    if trial.description is None:
        pytest.skip("there is no machine-readable description of this system: it rests on facts alone, named in quality.yaml")
    file = descriptions / trial.description.file
    if not file.exists():
        pytest.skip(f"the vendor's API description is not here: {trial.description.file}")
    spec = _spec(file, trial.description.prefix)
    with trial.open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        for n, operation in enumerate(trial.wires, start=1):
            ready = scene(operation, Stage(trial, opened, instance, n))
            assert ready.is_right(ready.run()), operation
        assert instance.client.check().ok
    described = [e for e in opened.exchanges if not any(re.search(p, e.path) for p in trial.description.undescribed)]
    assert described
    for exchange in described:
        spec.check(exchange)


@cache
def _spec(file: Path, prefix: str) -> VendorSpec:
    return VendorSpec.read(file, prefix=prefix)


# Paging


SOURCES = [key for key in KEYS if catalogue.load(key).can.source]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("key", SOURCES)
def test_nothing_is_lost_or_doubled_while_records_change(key: str, seed: int, tmp_path: Path) -> None:
    connector, trial, chance = catalogue.load(key), trial_of(key), random.Random(seed)
    with trial.open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        source, told, cursor = instance.source(), dict[tuple[str, str], int](), None
        changed = {trial.change_source(opened.sandbox, n) for n in range(chance.randrange(12, 30))}
        for _ in range(60):
            page = source.changes(cursor)
            cursor = page.cursor
            for record in page.records:
                told[record.external_id, record.version] = told.get((record.external_id, record.version), 0) + 1
            if page.complete and len(told) > 40:
                break
            if len(told) <= 40:
                changed.add(trial.change_source(opened.sandbox, chance.randrange(40)))
        for record in every_change(source, cursor):
            told[record.external_id, record.version] = told.get((record.external_id, record.version), 0) + 1
        newest = {external_id: source.read(external_id).version for external_id in changed}
    lost = [external_id for external_id, version in newest.items() if (external_id, version) not in told]
    assert not lost, f"changes that were never told, of: {lost}"
    doubled = {place: times for place, times in told.items() if times > 2}
    assert not doubled, f"the same version, told more than twice: {doubled}"


@pytest.mark.parametrize("key", SOURCES)
def test_a_cursor_that_is_none_of_ours_is_refused_or_begins_anew(key: str, tmp_path: Path) -> None:
    connector, trial = catalogue.load(key), trial_of(key)
    with trial.open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        external_id = trial.change_source(opened.sandbox, 1)
        try:
            found = {record.external_id for record in every_change(instance.source(), "not a cursor")}
        except (Refused, Misconfigured):
            return
    assert external_id in found


# Webhooks


PUSHED = [key for key in KEYS if catalogue.load(key).can.webhooks]


@pytest.mark.parametrize("key", PUSHED)
def test_a_webhook_is_verified_understood_and_the_same_when_it_comes_again(key: str, tmp_path: Path) -> None:
    connector, trial = catalogue.load(key), trial_of(key)
    with trial.open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        webhooks, delivery = instance.webhooks(), trial.delivery(opened.sandbox, 1)
        webhooks.verify(delivery.headers, delivery.body)
        events, again = webhooks.events(delivery.body), webhooks.events(delivery.body)
    assert delivery.subject_id in {event.subject_id for event in events}
    assert all(event.external_id and event.kind for event in events)
    assert [event.external_id for event in events] == [event.external_id for event in again]


@pytest.mark.parametrize("key", PUSHED)
def test_no_mutated_webhook_is_believed(key: str, tmp_path: Path) -> None:
    connector, trial, chance = catalogue.load(key), trial_of(key), random.Random(key)
    with trial.open(tmp_path) as opened, an_instance(connector, opened.settings) as instance:
        webhooks, delivery = instance.webhooks(), trial.delivery(opened.sandbox, 1)

        def is_believed(forged: Delivery) -> bool:
            try:
                webhooks.verify(forged.headers, forged.body)
            except BadSignature:
                return False
            with suppress(
                UnusableContent
            ):  # what an unsigned part says is a hint at most: of no use perhaps, but no error of ours
                webhooks.events(forged.body)
            return True

        signed = [n for n in delivery.headers if not is_believed(without(delivery, n))]
        believed = 0
        for _ in range(MUTATIONS):
            forged, is_of_body = mutated(delivery, signed, chance, body_first=trial.signature_covers_body)
            believed += is_believed(forged) and (trial.signature_covers_body or not is_of_body)
    assert believed == 0


def test_a_form_with_a_wrong_value_is_refused_without_telling_a_secret(connector: Connector[Any, Any], tmp_path: Path) -> None:
    with trial_of(connector.key).open(tmp_path) as opened:
        form = opened.settings
    with pytest.raises(ValidationError) as raised:
        connector.settings.model_validate({**form, "no_such_setting": "x"})
    shown = str(raised.value.errors(include_input=False))
    assert not [secret for secret in secrets_in(connector.settings.model_validate(form)) if secret in shown]
