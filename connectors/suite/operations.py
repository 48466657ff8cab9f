"""Every operation of every port, made ready from a connector's trial: how to run it, what a right result is, how a lost one is found.

The conformance suite sends each through the fault matrix; the benchmark times each. Nothing here knows a connector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from connectors.contract import Capabilities, Connector, Instance
from connectors.suite.trial import Opened, Trial
from workforce.access import AccountPage, DesiredAccount
from workforce.errors import HubError
from workforce.markers import new_marker
from workforce.ports import (
    AppRoles,
    ChangePage,
    Credentials,
    Directory,
    EventPage,
    Licensing,
    Managers,
    RecordEnding,
    RecordSink,
    RecordSource,
    Renaming,
    Restoring,
    Screening,
    Signing,
    SourceRecord,
    StoredRecord,
)

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
MAX_PAGES = 10_000

P = TypeVar("P", AccountPage, ChangePage, EventPage)


@dataclass(frozen=True, slots=True)
class Scene:
    """One operation made ready. ``run`` does it; ``is_right`` judges what it gave, and what can be read afterwards.

    ``is_found`` looks a lost creation up, as recovery does; ``None`` where the operation is simply issued again.
    """

    run: Callable[[], Any]
    is_right: Callable[[Any], bool] = lambda _result: True
    is_found: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scenes are set: a connector's trial, its opened sandbox, and an instance. ``n`` tells samples apart."""

    trial: Trial[Any]
    opened: Opened[Any]
    instance: Instance
    n: int

    @property
    def sandbox(self) -> Any:
        """The vendor."""
        return self.opened.sandbox


def operations_of(connector: Connector[Any, Any]) -> list[str]:
    """The operations that a connector has, by ``<capability>.<method>``. A directory has those of an optional port if its class has."""
    return [name for name in SCENES if _is_among(connector.can, name)]


def _is_among(can: Capabilities[Any, Any], operation: str) -> bool:
    built, optional = getattr(can, operation.partition(".")[0]), OPTIONAL.get(operation)
    return built is not None and (optional is None or (isinstance(built, type) and issubclass(built, optional)))


def scene(operation: str, stage: Stage) -> Scene:
    """``operation`` made ready: what it needs is made first."""
    return SCENES[operation](stage)


def every_change(source: RecordSource, cursor: str | None = None) -> list[SourceRecord]:
    """All pages of what changed since ``cursor``."""
    return [record for page in _every_page(source.changes, cursor) for record in page.records]


def _every_page(ask: Callable[[str | None], P], cursor: str | None = None) -> Iterator[P]:
    """Each page until one is complete; the cursor of one asks for the next."""
    for _ in range(MAX_PAGES):
        page = ask(cursor)
        yield page
        cursor = page.cursor
        if page.complete:
            return
    raise AssertionError("the pages never complete")


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

    def every_event() -> set[str]:
        return {event.subject_id for page in _every_page(backfill.missed) for event in page.events}

    return Scene(every_event, lambda subjects: subject_id in subjects)


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


def _account(stage: Stage) -> tuple[Directory, DesiredAccount, str]:
    directory, wanted = stage.instance.directory(), stage.trial.account(new_marker())
    return directory, wanted, directory.create(wanted)


def _create_account(stage: Stage) -> Scene:
    """Every other one is made before its start: disabled."""
    directory, wanted = stage.instance.directory(), replace(stage.trial.account(new_marker()), enabled=stage.n % 2 == 1)

    def is_right(account_id: str) -> bool:
        made = directory.read(account_id)
        return (made.login, made.enabled) == (wanted.login, wanted.enabled)

    return Scene(lambda: directory.create(wanted), is_right, lambda: len(directory.find(wanted.marker)) == 1)


def _find_account(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    return Scene(lambda: directory.find(wanted.marker), lambda found: [a.account_id for a in found] == [account_id])


def _find_login(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    return Scene(
        lambda: directory.find_by_login(wanted.login), lambda found: found is not None and found.account_id == account_id
    )


def _read_account(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    return Scene(lambda: directory.read(account_id), lambda state: state.marker == wanted.marker and state.enabled)


def _update_account(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    name = next(name for name, value in wanted.attributes.items() if isinstance(value, str))
    return Scene(lambda: directory.update(account_id, {name: f"{wanted.attributes[name]}x"}))


def _set_expiry(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    later = wanted.expires_at + timedelta(days=30)
    return Scene(
        lambda: directory.set_expiry(account_id, later), lambda _: directory.read(account_id).expires_at in {later, None}
    )


def _enable(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    directory.disable(account_id)
    return Scene(lambda: directory.enable(account_id), lambda _: directory.read(account_id).enabled)


def _disable(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    return Scene(lambda: directory.disable(account_id), lambda _: not directory.read(account_id).enabled)


def _revoke_sessions(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    return Scene(lambda: directory.revoke_sessions(account_id))


def _add_member(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    group = stage.trial.add_group(stage.sandbox, f"group of {wanted.marker}")
    return Scene(lambda: directory.add_member(group, account_id), lambda _: directory.read(account_id).groups == {group})


def _remove_member(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    group = stage.trial.add_group(stage.sandbox, f"group of {wanted.marker}")
    directory.add_member(group, account_id)
    return Scene(lambda: directory.remove_member(group, account_id), lambda _: not directory.read(account_id).groups)


def _move(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    directory.disable(account_id)
    return Scene(lambda: directory.move_to_disabled(account_id), lambda _: not directory.read(account_id).enabled)


def _accounts(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)

    def every_account() -> set[str]:
        return {account.account_id for page in _every_page(directory.accounts) for account in page.accounts}

    return Scene(every_account, lambda found: account_id in found)


def _block_all(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)

    def block() -> Mapping[str, HubError | None]:
        outcome = directory.block_all([account_id])
        for error in outcome.values():
            if error is not None:
                raise error
        return outcome

    return Scene(block, lambda outcome: list(outcome) == [account_id] and not directory.read(account_id).enabled)


def _optional(stage: Stage) -> tuple[Any, DesiredAccount, str]:
    """An account in a directory that has the optional port in question."""
    return _account(stage)


def _seats(stage: Stage) -> Scene:
    directory: Any = stage.instance.directory()
    licence = stage.trial.add_licence(stage.sandbox, f"licence {stage.n}")
    return Scene(lambda: directory.seats(licence), lambda seats: 0 < seats.free == seats.total)


def _assign_licence(stage: Stage) -> Scene:
    directory, _, account_id = _optional(stage)
    licence = stage.trial.add_licence(stage.sandbox, f"licence {stage.n}")
    return Scene(
        lambda: directory.assign_licence(account_id, licence), lambda _: directory.read(account_id).licences == {licence}
    )


def _reclaim_licence(stage: Stage) -> Scene:
    directory, _, account_id = _optional(stage)
    licence = stage.trial.add_licence(stage.sandbox, f"licence {stage.n}")
    directory.assign_licence(account_id, licence)
    return Scene(lambda: directory.reclaim_licence(account_id, licence), lambda _: not directory.read(account_id).licences)


def _assign_app_role(stage: Stage) -> Scene:
    directory, _, account_id = _optional(stage)
    role = stage.trial.add_app_role(stage.sandbox, f"role {stage.n}")
    return Scene(lambda: directory.assign_app_role(account_id, role), lambda _: directory.read(account_id).app_roles == {role})


def _remove_app_role(stage: Stage) -> Scene:
    directory, _, account_id = _optional(stage)
    role = stage.trial.add_app_role(stage.sandbox, f"role {stage.n}")
    directory.assign_app_role(account_id, role)
    return Scene(lambda: directory.remove_app_role(account_id, role), lambda _: not directory.read(account_id).app_roles)


def _set_manager(stage: Stage) -> Scene:
    directory, _, account_id = _optional(stage)
    address = stage.trial.add_manager(stage.sandbox, stage.n)
    return Scene(
        lambda: directory.set_manager(account_id, address),
        lambda _: stage.trial.manager_of(stage.sandbox, account_id) == address,
    )


def _rename(stage: Stage) -> Scene:
    directory, wanted, account_id = _optional(stage)
    login = stage.trial.another_login(wanted.login)

    def is_right(_: object) -> bool:
        renamed = directory.read(account_id)
        return (renamed.login, renamed.marker) == (login, wanted.marker) and directory.find_by_login(login) is not None

    return Scene(lambda: directory.rename(account_id, login), is_right)


def _deleted(stage: Stage) -> Scene:
    directory, wanted, account_id = _optional(stage)
    stage.trial.delete_account(stage.sandbox, account_id)
    return Scene(lambda: directory.deleted(wanted.marker), lambda found: list(found) == [account_id])


def _restore(stage: Stage) -> Scene:
    directory, wanted, account_id = _optional(stage)
    stage.trial.delete_account(stage.sandbox, account_id)

    def is_right(_: object) -> bool:
        restored = directory.read(account_id)
        return restored.marker == wanted.marker and not restored.enabled and not directory.deleted(wanted.marker)

    return Scene(lambda: directory.restore(account_id), is_right)


def _first_credential(stage: Stage) -> Scene:
    """A lost one is made again, which replaces it."""
    directory, _, account_id = _optional(stage)

    def is_right(made: Any) -> bool:
        secret = made.secret.get_secret_value()
        return len(secret) >= 8 and secret not in repr(made)

    return Scene(lambda: directory.first_credential(account_id), is_right)


OPTIONAL: Mapping[str, type] = {
    "directory.seats": Licensing, "directory.assign_licence": Licensing, "directory.reclaim_licence": Licensing,
    "directory.assign_app_role": AppRoles, "directory.remove_app_role": AppRoles, "directory.set_manager": Managers,
    "directory.rename": Renaming, "directory.deleted": Restoring, "directory.restore": Restoring,
    "directory.first_credential": Credentials,
}  # fmt: skip
"""The port that a directory's class has to have for the operation, beyond that of every directory."""

SCENES: Mapping[str, Callable[[Stage], Scene]] = {
    "source.changes": _changes, "source.read": _read_source, "backfill.missed": _missed, "schemas.read": _schemas,
    "sink.find": _find_record, "sink.create": _create_record, "sink.update": _update_record, "sink.end": _end_record,
    "sink.read": _read_record, "ending.end": _end_planted, "ending.read": _read_planted,
    "signing.find": _find_agreement, "signing.send": _send, "signing.status": _signing_status, "signing.documents": _documents,
    "signing.void": _void, "screening.find": _find_order, "screening.order": _order, "screening.status": _screening_status,
    "notifier.send": _notify, "directory.find": _find_account, "directory.find_by_login": _find_login,
    "directory.read": _read_account, "directory.create": _create_account, "directory.update": _update_account,
    "directory.set_expiry": _set_expiry, "directory.enable": _enable, "directory.disable": _disable,
    "directory.revoke_sessions": _revoke_sessions, "directory.add_member": _add_member,
    "directory.remove_member": _remove_member, "directory.move_to_disabled": _move, "directory.accounts": _accounts,
    "directory.block_all": _block_all, "directory.seats": _seats, "directory.assign_licence": _assign_licence,
    "directory.reclaim_licence": _reclaim_licence, "directory.assign_app_role": _assign_app_role,
    "directory.remove_app_role": _remove_app_role, "directory.set_manager": _set_manager, "directory.rename": _rename,
    "directory.deleted": _deleted, "directory.restore": _restore, "directory.first_credential": _first_credential,
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
