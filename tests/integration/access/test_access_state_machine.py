"""Whatever happens in whatever order: once it is quiet, people have exactly the access that an oracle says, and never more after an end.

Grant, extend, shorten, another role, another name, a start that moves, approvals, suspensions, end, terminate, convert, take back, come again, a second
engagement at once, joiners and leavers that die, runs that are overtaken by the ending or run at the same time, hands at the directory:
against real directories (slapd, and Entra's sandbox), the real ledger and the real steps. The oracle knows nothing of any of them. At the
end, the history of who had access is asked for every quiet moment on the way.
The long version: ``pytest --hypothesis-profile thorough tests/integration/access/test_access_state_machine.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cli.demo.world import ROLE, TENANT
from flows.access.approving import decide
from flows.ending.endings import end_now, hear_again
from flows.ending.sweeper import sweep
from flows.joiner import directories_concerned, join
from flows.leaver import block, leave, systems_to_leave
from flows.reconciliation.reconcile import reconcile
from flows.steps import PlainConductor
from ledger import engagements
from ledger.access import approvals
from ledger.access.history import Question, held_at
from ledger.ending import endings, ends
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.queueing.jobs import defer_joiner, defer_leaver
from ledger.reconciliation.reconciliations import Scope
from tests.integration.access_in_time import OWNER, Died, Interrupted, Known, Person, in_turn, mending_everything, packages_of
from tests.integration.installed import Installed
from workforce.access import SIGN_IN, AccountState, Entitlement, EntitlementKind
from workforce.errors import Fenced, NotFound, Refused, RetryLater
from workforce.events import Actor, ActorType
from workforce.ports import Directory

pytestmark = pytest.mark.integration

DIRECTORIES = ("entra", "ldap")
GRACE, HEDY = (Actor(ActorType.HUMAN, name, auth="cli") for name in ("grace", "hedy"))
DAYS = st.integers(min_value=1, max_value=90)
PEOPLE = st.sampled_from([0, 1])
STEPS = st.integers(min_value=0, max_value=15)
WHICH = st.integers(0, 2)


class Access(RuleBasedStateMachine):
    """The machine. Every rule does one thing, lets the hub come to rest, and the invariant compares."""

    installed: Installed
    entra: frozenset[Entitlement]
    """What engineers have in Entra besides groups."""
    vault: str
    """The group in LDAP that engineers have once that is approved."""

    def __init__(self) -> None:
        super().__init__()
        names = [uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop")) for _ in range(2)]
        self.people = [Person({"Worker ID": f"ACME{n}", "Worker Last Name": f"Lovelace {n}"}) for n in names]
        self.waits_for: list[str] = []
        self.moments: list[tuple[datetime, dict[tuple[int, str], frozenset[Entitlement]]]] = []

    # What the roles give, as the oracle knows it

    def groups_of(self, role: str, directory: str) -> frozenset[str]:
        engineers = self.installed.world.groups[directory]
        return frozenset(engineers if role == ROLE else engineers[:1] if directory == "ldap" else [])

    def expected(self, person: Person, directory: str) -> frozenset[Entitlement]:
        held: set[Entitlement] = set()
        for known in person.engagements:
            if known.goes_on and not known.is_suspended:
                held |= self.supported(known, directory)
        return frozenset(held)

    def supported(self, known: Known, directory: str) -> set[Entitlement]:
        is_engineer, in_ldap = known.role == ROLE, directory == "ldap"
        groups = self.groups_of(known.role, directory) | ({self.vault} if is_engineer and in_ldap and known.is_trusted else set())
        held = {Entitlement(EntitlementKind.GROUP, group) for group in groups}
        if is_engineer and not in_ldap:
            held |= self.entra
        return held | ({SIGN_IN} if known.has_started and (is_engineer or in_ldap) else set())

    # What happens

    @precondition(lambda self: any(len(person.engagements) < 3 for person in self.people))
    @rule(who=PEOPLE, is_engineer=st.booleans())
    def comes(self, who: int, is_engineer: bool) -> None:
        person = self.people[who]
        if len(person.engagements) >= 3:
            return
        role = ROLE if is_engineer else "Designer"
        engagement = self.installed.signed(**person.columns, Role=role)
        assert person.worker_id in {None, engagement.worker.id}
        person.engagements.append(Known(engagement, role))
        self.settle()

    @rule(who=PEOPLE, which=WHICH, days=DAYS)
    def source_says_another_end(self, who: int, which: int, days: int) -> None:
        """Later or earlier, but not past; a closed order is reopened. An ending that came of itself is taken back, one by a person is not."""
        known = self.pick(who, which)
        if known is None:
            return
        until = datetime.now(UTC).date() + timedelta(days=1 + days)
        reopened = {"Status": "Accepted", "Closed At": "", "Terminate At": ""}
        self.installed.change(known.engagement, **{"End Date": until.isoformat(), **reopened})
        if not known.by_hand:
            known.goes_on = True
        self.settle()

    @rule(who=PEOPLE, which=WHICH)
    def end_is_reached(self, who: int, which: int) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None or not known.has_started:
            return
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        with self.tx() as tx:
            statement = """
                UPDATE engagements SET end_at = date_trunc('second', now()), reported_terms = NULL, terms = terms || %(said)s
                WHERE id = %(id)s
            """
            tx.execute(statement, said={"ends_on": yesterday.isoformat(), "terminates_at": None}, id=known.engagement.id)
            engagements.begin_ending(tx, known.engagement.id, "end_reached")
            defer_leaver(tx, known.engagement.id)
        known.goes_on = False
        self.blocked_at_once(who, known)
        self.settle()

    @rule(who=PEOPLE, which=WHICH, becomes_an_employee=st.booleans())
    def is_terminated_or_converted(self, who: int, which: int, becomes_an_employee: bool) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return
        with self.tx() as tx:
            end_now(tx, known.engagement.id, GRACE, reason="a test says so", converted=becomes_an_employee)
        known.goes_on, known.by_hand = False, True
        self.blocked_at_once(who, known)
        self.settle()

    @rule(who=PEOPLE, which=WHICH)
    def two_people_take_it_back(self, who: int, which: int) -> None:
        known = self.pick(who, which, goes_on=False)
        if known is None:
            return
        hear_again(self.installed.hub, TENANT, known.engagement.terms.vms_id)
        with self.tx() as tx:
            endings.ask_undo(tx, known.engagement.id, GRACE, reason="it was a mistake")
        with self.tx() as tx, pytest.raises(Refused, match="somebody else"):
            endings.confirm_undo(tx, known.engagement.id, GRACE, needs_two=True)
        try:
            with self.tx() as tx:
                endings.confirm_undo(tx, known.engagement.id, HEDY, needs_two=True)
        except Refused as error:
            assert error.cause == "end_has_passed"  # noqa: PT017 - nothing else may be refused: an ending that is complete has closed the order in the VMS
        else:
            known.goes_on, known.by_hand = True, False
        self.settle()

    @rule(who=PEOPLE, which=WHICH)
    def changes_role(self, who: int, which: int) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return
        known.role = "Designer" if known.role == ROLE else ROLE
        self.installed.change(known.engagement, Role=known.role)
        self.settle()

    @rule(who=PEOPLE, which=WHICH, comes_first=st.booleans())
    def start_moves(self, who: int, which: int, comes_first: bool) -> None:
        """Into the future or the past, whether access was given already or not."""
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return
        known.has_started = comes_first
        day = datetime.now(UTC).date() + timedelta(days=-2 if comes_first else 2)
        self.installed.change(known.engagement, **{"Start Date": day.isoformat()})
        self.settle()

    @rule(who=PEOPLE, which=WHICH, number=st.integers(0, 9))
    def has_another_name(self, who: int, which: int, number: int) -> None:
        known = self.pick(who, which)
        if known is None:
            return
        self.people[who].columns["Worker Last Name"] = f"Byron {'abcdefghij'[number]}"
        self.installed.change(known.engagement, **{"Worker Last Name": self.people[who].columns["Worker Last Name"]})
        self.settle()

    @rule(who=PEOPLE, which=WHICH, approved=st.booleans())
    def an_approver_decides(self, who: int, which: int, approved: bool) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return
        with self.tx() as tx, suppress(NotFound):  # nobody asked for it: the role never needed it
            said = approvals.Decision(known.engagement.id, "vault", 1, approved=approved, by=OWNER, reason="because")
            decide(tx, self.installed.hub.tenant(TENANT), said, GRACE)
            known.is_trusted = approved
        self.settle()

    @rule(who=PEOPLE, which=WHICH, is_suspended=st.booleans())
    def access_is_withheld_or_not_any_more(self, who: int, which: int, is_suspended: bool) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return
        with self.tx() as tx:
            statement = "UPDATE engagements SET suspended_at = CASE WHEN %(yes)s THEN clock_timestamp() END WHERE id = %(id)s"
            tx.execute(statement, yes=is_suspended, id=known.engagement.id)
            defer_joiner(tx, known.engagement.id)
        known.is_suspended = is_suspended
        self.settle()

    @rule(who=PEOPLE, which=WHICH, at_step=STEPS)
    def a_leaver_dies(self, who: int, which: int, at_step: int) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return
        with self.tx() as tx:
            ends.terminate(tx, known.engagement.id, GRACE, reason="a test says so")
        known.goes_on, known.by_hand = False, True

        def die() -> None:
            raise Died

        with suppress(Died):
            self.leaving(known.engagement.id, at_step, die)
        self.settle()

    @rule(who=PEOPLE, which=WHICH, other=WHICH)
    def two_runs_at_once(self, who: int, which: int, other: int) -> None:
        """One engagement of a person is taken apart while the joiner or the leaver of another is at work."""
        first, second = self.pick(who, which, goes_on=True), self.pick(who, other)
        if first is None or second is None or first is second:
            return
        with self.tx() as tx:
            ends.terminate(tx, first.engagement.id, GRACE, reason="a test says so")
            (defer_joiner if second.goes_on else defer_leaver)(tx, second.engagement.id)
        first.goes_on, first.by_hand = False, True
        self.settle(at_once=True)

    @rule(who=PEOPLE)
    def somebody_deletes_the_account(self, who: int) -> None:
        """In Entra, by hand: it is brought back where somebody needs it."""
        person = self.people[who]
        account = self.account(person, "entra")
        if account is None:
            return
        self.installed.world.graph.delete_user(account.account_id)
        with self.tx() as tx:
            tx.execute("UPDATE effects SET started_at = started_at - interval '5 minutes'")  # it is no lagging read
            for known in person.engagements:
                if known.goes_on:
                    defer_joiner(tx, known.engagement.id)
        self.settle()

    @rule(who=PEOPLE, which=WHICH, at_step=STEPS)
    def a_run_dies(self, who: int, which: int, at_step: int) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return

        def die() -> None:
            raise Died

        with suppress(Died):
            self.joining(known, at_step, die)
        self.again(known)
        self.settle()

    @rule(who=PEOPLE, which=WHICH, at_step=STEPS)
    def the_ending_overtakes_a_run(self, who: int, which: int, at_step: int) -> None:
        known = self.pick(who, which, goes_on=True)
        if known is None:
            return

        def end() -> None:
            with self.tx() as tx:
                ends.terminate(tx, known.engagement.id, GRACE, reason="a test says so")
            known.goes_on, known.by_hand = False, True

        try:
            self.joining(known, at_step, end)
        except (Fenced, RetryLater):  # its effects are fenced; a look finds what the ending has changed, and is tried again
            assert not known.goes_on
        self.settle()

    @rule(who=PEOPLE, directory=st.sampled_from(DIRECTORIES), does=st.sampled_from(["opens", "takes", "gives"]))
    def somebody_changes_the_account_by_hand(self, who: int, directory: str, does: str) -> None:
        """Opens it, takes a group away, or gives another: the sweeper and reconciliation put it right."""
        account = self.account(self.people[who], directory)
        if account is None:
            return
        at, known = self.directory(directory), self.installed.world.groups[directory]
        others = sorted({*known, *([self.vault] if directory == "ldap" else [])} - account.groups)
        if does == "opens":
            at.enable(account.account_id)
        elif does == "takes" and account.groups:
            at.remove_member(min(account.groups), account.account_id)
        elif does == "gives" and others:
            at.add_member(others[0], account.account_id)
        self.settle(directory)

    @invariant()
    def access_is_what_the_oracle_says(self) -> None:
        moment: dict[tuple[int, str], frozenset[Entitlement]] = {}
        for number, person in enumerate(self.people):
            for directory in DIRECTORIES if person.engagements else ():
                account = self.account(person, directory)
                held = account.entitlements if account else frozenset()
                wanted = self.expected(person, directory)
                assert held == wanted, (number, directory)
                moment[number, directory] = wanted
        with self.tx() as tx:
            now: datetime = tx.the("SELECT clock_timestamp() AS now")["now"]
        self.moments.append((now, moment))

    def teardown(self) -> None:
        """The history of who had access agrees with every quiet moment."""
        with self.tx() as tx:
            for at, moment in self.moments:
                for (number, directory), wanted in moment.items():
                    found = held_at(tx, Question(directory, at, worker_id=self.people[number].worker_id))
                    assert {each.entitlement for each in found} == wanted, (at, number, directory)

    # How it is done

    def tx(self) -> Any:
        return self.installed.hub.database.transaction(TENANT)

    def directory(self, name: str) -> Directory:
        return self.installed.hub.tenant(TENANT).instance(name).directory()

    def account(self, person: Person, directory: str) -> AccountState | None:
        if person.worker_id is None:
            return None
        with self.tx() as tx:
            account_id = identities.external_id(tx, directory, ACCOUNT, person.worker_id)
        try:
            return self.directory(directory).read(account_id) if account_id else None
        except NotFound:
            return None

    def pick(self, who: int, which: int, *, goes_on: bool | None = None) -> Known | None:
        some = [known for known in self.people[who].engagements if goes_on in {None, known.goes_on}]
        return some[which % len(some)] if some else None

    def joining(self, known: Known, at_step: int, happens: Any) -> None:
        ref = self.installed.run(known.engagement)
        conductor = Interrupted(ref, self.installed.hub, at_step=at_step, happens=happens, attempts=3)
        hub, engagement_id = self.installed.hub, known.engagement.id
        join(conductor, sinks=(), directories=lambda: directories_concerned(hub, TENANT, engagement_id))

    def again(self, known: Known) -> None:
        """The queue runs an interrupted job again."""
        self.joining(known, -2, lambda: None)

    def blocked_at_once(self, who: int, known: Known) -> None:
        """The urgent part alone: nobody signs in any more whom nothing else supports."""
        _, directories = systems_to_leave(self.installed.hub, TENANT, known.engagement.id)
        urgent = PlainConductor(self.installed.run(known.engagement, grants=False), self.installed.hub, attempts=1)
        block(urgent, directories=directories)
        assert urgent.failures == {}
        for directory in DIRECTORIES:
            account = self.account(self.people[who], directory)
            assert account is None or account.enabled is (SIGN_IN in self.expected(self.people[who], directory))

    def settle(self, *directories: str, at_once: bool = False) -> None:
        """Everything that waits is done, until nothing does. ``directories`` are reconciled first. ``at_once``: by as many workers."""
        sweep(self.installed.hub, TENANT)
        for directory in directories:
            reconcile(self.installed.hub, TENANT, directory, Scope.FULL)
        for _ in range(9):
            self.waits_for.clear()
            jobs = [partial(self.leave, each) for each in self.waiting("leaver")]
            joiners = [partial(self.join, each) for each in self.waiting("joiner")]
            if not jobs and not joiners:
                return
            with ThreadPoolExecutor(len(jobs) + 1 if at_once else 1) as pool:
                list(pool.map(in_turn, [*([job] for job in jobs), joiners]))  # the joiners of one person share a lock
        raise AssertionError(f"it never comes to rest: {self.waits_for}")

    def waiting(self, name: str) -> list[UUID]:
        return [UUID(args["engagement_id"]) for args in self.installed.waiting(name)]

    def join(self, engagement_id: UUID) -> None:
        with self.tx() as tx:
            engagement = engagements.get(tx, engagement_id)
        if engagement.tombstoned_at is None:
            self.again_later(defer_joiner, engagement_id, lambda: self.joining(Known(engagement, ""), -2, lambda: None))

    def leave(self, engagement_id: UUID) -> None:
        """As the worker does: whoever else of the person's engagements goes on is looked after when it is through."""
        with self.tx() as tx:
            engagement = engagements.get(tx, engagement_id)
        if engagement.tombstoned_at is None:
            return
        self.again_later(defer_leaver, engagement_id, lambda: self.leaving(engagement_id, -2, lambda: None))
        with self.tx() as tx:
            for other in engagements.list_all(tx, worker_id=engagement.worker.id):
                if other.id != engagement_id and other.tombstoned_at is None:
                    defer_joiner(tx, other.id)

    def again_later(self, defer: Callable[[Any, UUID], None], engagement_id: UUID, run: Callable[[], None]) -> None:
        """What another run has changed on the way is looked at again by the next try."""
        try:
            run()
        except RetryLater as error:
            self.waits_for.append(str(error))
            with self.tx() as tx:
                defer(tx, engagement_id)

    def leaving(self, engagement_id: UUID, at_step: int, happens: Any) -> None:
        records, directories = systems_to_leave(self.installed.hub, TENANT, engagement_id)
        with self.tx() as tx:
            engagement = engagements.get(tx, engagement_id)
        ref = self.installed.run(engagement, grants=False)
        conductor = Interrupted(ref, self.installed.hub, at_step=at_step, happens=happens, attempts=3)
        leave(conductor, records=records, directories=directories)


def test_access_is_always_what_the_engagements_of_a_person_support(installed: Installed) -> None:
    graph, slapd = installed.world.graph, installed.world.slapd
    licence, app_role = graph.add_licence("E3"), graph.add_app_role()
    entra = frozenset({Entitlement(EntitlementKind.LICENCE, licence), Entitlement(EntitlementKind.APP_ROLE, app_role)})
    vault = slapd.add_group("vault")
    packages_of(installed, entra, vault)
    installed.apply_files({"tenant.yaml": mending_everything(installed)})
    machine = type("Machine", (Access,), {"installed": installed, "entra": entra, "vault": vault})
    thorough = hypothesis.settings.get_current_profile_name() == "thorough"
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=500 if thorough else 30,
            stateful_step_count=12 if thorough else 8,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
