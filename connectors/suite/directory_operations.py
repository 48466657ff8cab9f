"""Every operation of a directory, made ready from a connector's trial: of the port that each has, and of those that some have besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from connectors.suite.scenes import Scene, Stage, every_account
from workforce.access import DesiredAccount
from workforce.errors import HubError, raise_first
from workforce.markers import new_marker
from workforce.ports import AppRoles, Credentials, Licensing, Managers, ReadsTogether, Renaming, Restoring


def _account(stage: Stage) -> tuple[Any, DesiredAccount, str]:
    """An account in a directory, which has the optional port in question if one is."""
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
    return Scene(lambda: every_account(directory)[0], lambda found: account_id in {account.account_id for account in found})


def _block_all(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    return Scene(
        lambda: _without_error(directory.block_all([account_id])),
        lambda outcome: list(outcome) == [account_id] and not directory.read(account_id).enabled,
    )


def _read_all(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    return Scene(
        lambda: _without_error(directory.read_all([account_id])),
        lambda found: getattr(found[account_id], "marker", None) == wanted.marker,
    )


def _without_error(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is ``told`` of each account. Raises what is told of one instead."""
    raise_first(each for each in told.values() if isinstance(each, HubError))
    return told


def _seats(stage: Stage) -> Scene:
    directory: Any = stage.instance.directory()
    licence = stage.trial.add_licence(stage.sandbox, f"licence {stage.n}")
    return Scene(lambda: directory.seats(licence), lambda seats: 0 < seats.free == seats.total)


def _assign_licence(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    licence = stage.trial.add_licence(stage.sandbox, f"licence {stage.n}")
    return Scene(
        lambda: directory.assign_licence(account_id, licence), lambda _: directory.read(account_id).licences == {licence}
    )


def _reclaim_licence(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    licence = stage.trial.add_licence(stage.sandbox, f"licence {stage.n}")
    directory.assign_licence(account_id, licence)
    return Scene(lambda: directory.reclaim_licence(account_id, licence), lambda _: not directory.read(account_id).licences)


def _assign_app_role(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    role = stage.trial.add_app_role(stage.sandbox, f"role {stage.n}")
    return Scene(lambda: directory.assign_app_role(account_id, role), lambda _: directory.read(account_id).app_roles == {role})


def _remove_app_role(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    role = stage.trial.add_app_role(stage.sandbox, f"role {stage.n}")
    directory.assign_app_role(account_id, role)
    return Scene(lambda: directory.remove_app_role(account_id, role), lambda _: not directory.read(account_id).app_roles)


def _set_manager(stage: Stage) -> Scene:
    directory, _, account_id = _account(stage)
    address = stage.trial.add_manager(stage.sandbox, stage.n)
    return Scene(
        lambda: directory.set_manager(account_id, address),
        lambda _: stage.trial.manager_of(stage.sandbox, account_id) == address,
    )


def _rename(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    login = stage.trial.another_login(wanted.login)

    def is_right(_: object) -> bool:
        renamed = directory.read(account_id)
        return (renamed.login, renamed.marker) == (login, wanted.marker) and directory.find_by_login(login) is not None

    return Scene(lambda: directory.rename(account_id, login), is_right)


def _deleted(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    stage.trial.delete_account(stage.sandbox, account_id)
    return Scene(lambda: directory.deleted(wanted.marker), lambda found: list(found) == [account_id])


def _restore(stage: Stage) -> Scene:
    directory, wanted, account_id = _account(stage)
    stage.trial.delete_account(stage.sandbox, account_id)

    def is_right(_: object) -> bool:
        restored = directory.read(account_id)
        return restored.marker == wanted.marker and not restored.enabled and not directory.deleted(wanted.marker)

    return Scene(lambda: directory.restore(account_id), is_right)


def _first_credential(stage: Stage) -> Scene:
    """A lost one is made again, which replaces it."""
    directory, _, account_id = _account(stage)

    def is_right(made: Any) -> bool:
        secret = made.secret.get_secret_value()
        return len(secret) >= 8 and secret not in repr(made)

    return Scene(lambda: directory.first_credential(account_id), is_right)


DIRECTORY_PORTS: Mapping[str, type] = {
    "directory.seats": Licensing, "directory.assign_licence": Licensing, "directory.reclaim_licence": Licensing,
    "directory.assign_app_role": AppRoles, "directory.remove_app_role": AppRoles, "directory.set_manager": Managers,
    "directory.rename": Renaming, "directory.deleted": Restoring, "directory.restore": Restoring,
    "directory.first_credential": Credentials, "directory.read_all": ReadsTogether,
}  # fmt: skip
"""The port that a directory's class has to have for the operation, beyond that of every directory."""

DIRECTORY_SCENES: Mapping[str, Callable[[Stage], Scene]] = {
    "directory.find": _find_account, "directory.find_by_login": _find_login, "directory.read": _read_account,
    "directory.create": _create_account, "directory.update": _update_account, "directory.set_expiry": _set_expiry,
    "directory.enable": _enable, "directory.disable": _disable, "directory.revoke_sessions": _revoke_sessions,
    "directory.add_member": _add_member, "directory.remove_member": _remove_member, "directory.move_to_disabled": _move,
    "directory.accounts": _accounts, "directory.block_all": _block_all, "directory.seats": _seats,
    "directory.assign_licence": _assign_licence, "directory.reclaim_licence": _reclaim_licence,
    "directory.assign_app_role": _assign_app_role, "directory.remove_app_role": _remove_app_role,
    "directory.set_manager": _set_manager, "directory.rename": _rename, "directory.deleted": _deleted,
    "directory.restore": _restore, "directory.first_credential": _first_credential, "directory.read_all": _read_all,
}  # fmt: skip
