"""What the state machine of access is made of: people and what an oracle knows of them, runs that are interrupted, and the company's packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cli.demo.world import ROLE, TENANT
from flows.steps import PlainConductor, Step
from tests.integration.installed import Installed
from workforce.access import Entitlement, EntitlementKind, ids_of
from workforce.engagement import Engagement

OWNER = "owner@acme.example"


def in_turn(jobs: Sequence[Callable[[], None]]) -> None:
    """One after the other."""
    for job in jobs:
        job()


class Died(BaseException):
    """The process is gone."""


class Interrupted(PlainConductor):
    """Runs steps until the one with a given number, before which something happens: the process dies, or the ending begins."""

    def __init__(self, *args: Any, at_step: int, happens: Any, attempts: int = 8) -> None:
        super().__init__(*args, attempts=attempts)
        self._left, self._happens = at_step, happens

    def _run(self, step: Step, system: str) -> None:
        self._left -= 1
        if self._left == -1:
            self._happens()
        super()._run(step, system)


@dataclass
class Known:
    """What the oracle knows of an engagement: the role that it has now, whether it is going on, and what keeps access from it."""

    engagement: Engagement
    role: str
    goes_on: bool = True
    by_hand: bool = False  # a person ended it: no feed brings it back
    has_started: bool = True
    is_suspended: bool = False
    is_trusted: bool = False
    """Whether an approver has said yes to what engineers have to be trusted for."""


@dataclass
class Person:
    """Somebody with an identity in the VMS, and their engagements."""

    columns: dict[str, str]
    engagements: list[Known] = field(default_factory=list)

    @property
    def worker_id(self) -> UUID | None:
        return self.engagements[0].engagement.worker.id if self.engagements else None


def packages_of(installed: Installed, entra: frozenset[Entitlement], vault: str) -> None:
    """Engineers have ``entra`` too, and ``vault`` once that is approved. Designers have the first group in LDAP and nothing in Entra."""
    groups = installed.world.groups
    more = {"licences": [*ids_of(entra, EntitlementKind.LICENCE)], "app_roles": [*ids_of(entra, EntitlementKind.APP_ROLE)]}
    packages = [
        {
            "package": "software-engineer",
            "version": 2,
            "role": ROLE,
            "directories": {"entra": {"groups": groups["entra"], **more}, "ldap": {"groups": groups["ldap"]}},
        },
        {
            "package": "vault",
            "version": 1,
            "role": ROLE,
            "sensitive": True,
            "approvers": [OWNER],
            "directories": {"ldap": {"groups": [vault]}},
        },
        {"package": "designer", "version": 1, "role": "Designer", "directories": {"ldap": {"groups": groups["ldap"][:1]}}},
    ]
    files = {f"access/{each['package']}-{each['version']}.yaml": {**each, "because": "a test says so"} for each in packages}
    installed.apply_files(files)


def mending_everything(installed: Installed) -> dict[str, Any]:
    """The company's document, with a policy that lets reconciliation mend what a hand did to an account."""
    document = installed.hub.tenant(TENANT).document.model_dump(mode="json", exclude_unset=True)
    return {
        **document,
        "access": {"reconciliation": {"mend": ["missing", "extra", "unexpected_enabled"]}, "brake": {"at_least": 10_000}},
    }
