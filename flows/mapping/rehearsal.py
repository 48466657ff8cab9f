"""A dry run: what another version of a mapping would change, from recorded records, and what would be written where.

It goes the way of a real run, with the same code, up to the point at which something would be written. So what it shows is what putting
the version in force writes, as long as nobody else changes anything in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property

from config.hub import Hub
from flows.case import Case, CaseRef
from flows.feeds.intake import RECORD, MappedOrder, guarded, map_order
from flows.mapping.following import HAS_RECORDS, is_over
from flows.mapping.lineage import field_lineage
from flows.mapping.promotion import systems_of
from flows.mapping.versions import Versions
from ledger import engagements
from ledger.identity.identities import ACCOUNT
from ledger.intake import sources
from ledger.intake.work_orders import source_lineage
from ledger.mapping import pins
from mappings.engine import CompiledMapping
from provisioning.plan import plan_access
from provisioning.readback import read_account
from provisioning.records import read_record
from provisioning.writing import WritePlan, equal
from workforce.engagement import Engagement
from workforce.errors import HubError, Refused
from workforce.lineage import MappedField, SourceLineage
from workforce.ports import SourceRecord
from workforce.versions import Running

READERS = 8
"""How many records are read at the same time, of all systems together; each reader needs two connections to the ledger at most."""
CANONICAL = "canonical"
"""Where a field changes before anything is written: in the hub's own model."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One field that would change. ``system`` is an instance or ``CANONICAL``, ``subject`` the work order or envelope."""

    system: str
    subject: str
    target: str
    before: object = field(repr=False)
    after: object = field(repr=False)
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What could not be rehearsed, or would be set aside: ``message`` says why. ``is_new`` tells that today's version takes it."""

    system: str
    subject: str
    message: str
    is_new: bool = True


@dataclass
class Rehearsal:
    """What a dry run found. ``records`` were replayed; ``mended`` are those that today's version refuses and the new one takes.

    ``would_move`` are all running engagements that the version would move, ``moving`` those of them that were replayed, and
    ``engagements`` those whose writes are shown.
    """

    mapping_id: str
    version: str
    records: int = 0
    would_move: int = 0
    moving: int = 0
    engagements: int = 0
    compared_with: Counter[str] = field(default_factory=Counter)
    changes: list[Shown] = field(default_factory=list)
    writes: list[Shown] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rehearsing:
    """One dry run. ``offline`` compares with what was written last instead of asking the systems what they hold.

    ``progress`` is told how many of how many records of systems have been read.
    """

    hub: Hub
    tenant: str
    mapping_id: str
    label: str
    running: Running = Running.MIGRATE
    offline: bool = False
    progress: Callable[[int, int], object] = lambda _done, _of: None

    def run(self, last: int = 500) -> Rehearsal:
        """Replay the ``last`` records that were read. Writes nothing.

        Raises ``Misconfigured`` for an unknown or faulty version, ``Refused`` for a mapping that nothing here uses.
        """
        shown = Rehearsal(self.mapping_id, self.new.version)
        source, _, target = self.mapping_id.partition("__")
        systems = self.hub.tenant(self.tenant).document.systems
        if self.running is Running.MIGRATE:
            with self.hub.database.transaction(self.tenant) as tx:
                shown.would_move = pins.count_elsewhere(tx, self.mapping_id, self.new.version)
        if source == "engagement":
            followers = list(self._outgoing(shown, last))
        elif target == "agreement":
            followers = []
            self._agreements(shown, self._reads_by_it(systems.esign), last)
        else:
            followers = list(self._work_orders(shown, self._reads_by_it(systems.vms), last))
        self._show_writes(shown, followers)
        return shown

    @cached_property
    def new(self) -> CompiledMapping:
        """The version that is rehearsed."""
        return self._versions.registry.get(self.mapping_id, self.label)

    @property
    def _versions(self) -> Versions:
        return Versions(self.hub, self.tenant, looks_only=True)

    def _reads_by_it(self, system: str) -> str:
        """The system whose records the mapping reads."""
        if self.hub.tenant(self.tenant).instance(system).connector.key != self.mapping_id.partition("__")[0]:
            raise Refused(f"{self.mapping_id} is used by no system of {self.tenant}", cause="mapping_not_used", field="mapping")
        return system

    def _work_orders(self, shown: Rehearsal, system: str, last: int) -> Iterator[_Follower]:
        """Records of the VMS: how their terms change; whose records in other systems follow."""
        for record in self._recorded(system, last):
            with self.hub.database.transaction(self.tenant) as tx:
                known = engagements.by_vms_id(tx, system, record.external_id)
                old = self._versions.of(tx, self.mapping_id, known)
            taken = self._compare(shown, record, known, _Pair(old, self.new), system)
            if known is None or not self._moves(known):
                continue
            shown.moving += 1
            if taken is not None:
                yield _Follower(known.with_order(taken.order), taken.lineage)

    def _compare(
        self, shown: Rehearsal, record: SourceRecord, known: Engagement | None, pair: _Pair, system: str
    ) -> MappedOrder | None:
        """Both versions on one record; what the new one makes of it, if it takes it."""
        shown.records += 1
        shown.compared_with[pair.old.version] += 1
        before, _ = _mapped(pair.old, system, record, known)
        after, fault = _mapped(pair.new, system, record, known)
        if after is None:
            shown.held.append(Held(CANONICAL, record.external_id, fault, is_new=before is not None))
            return None
        if before is None:
            shown.mended.append(record.external_id)
            return after
        shown.changes += _differences(record.external_id, before.lineage.fields, after.lineage.fields)
        return after

    def _outgoing(self, shown: Rehearsal, last: int) -> Iterator[_Follower]:
        """Running engagements that the mapping's own system keeps records of."""
        if not list(systems_of(self.hub.tenant(self.tenant), self.mapping_id)):
            raise Refused(f"{self.mapping_id} is used by no system of {self.tenant}", cause="mapping_not_used", field="mapping")
        with self.hub.database.transaction(self.tenant) as tx:
            newest = pins.newest(tx, HAS_RECORDS, limit=last)
        for engagement_id in newest:
            with self.hub.database.transaction(self.tenant) as tx:
                engagement, lineage = engagements.get(tx, engagement_id), source_lineage(tx, engagement_id)
            if self._moves(engagement):
                shown.records += 1
                shown.moving += 1
                shown.compared_with[engagement.mapping_pins[self.mapping_id]] += 1
                yield _Follower(engagement, lineage)

    def _agreements(self, shown: Rehearsal, system: str, last: int) -> None:
        """Envelopes: how the agreement is read. Nothing is written of an agreement."""
        with self.hub.database.transaction(self.tenant) as tx:
            old = self._versions.current(tx, self.mapping_id)
        for record in self._recorded(system, last):
            shown.records += 1
            shown.compared_with[old.version] += 1
            before, after = (_agreement_fields(mapping, record) for mapping in (old, self.new))
            if isinstance(after, str):
                shown.held.append(Held(CANONICAL, record.external_id, after, is_new=not isinstance(before, str)))
            elif isinstance(before, str):
                shown.mended.append(record.external_id)
            else:
                shown.changes += _differences(record.external_id, before, after)

    def _moves(self, engagement: Engagement) -> bool:
        """Whether the engagement follows the new version at once."""
        pinned = engagement.mapping_pins.get(self.mapping_id)
        return self.running is Running.MIGRATE and pinned not in {None, self.new.version} and not is_over(engagement)

    def _show_writes(self, shown: Rehearsal, followers: list[_Follower]) -> None:
        """What would be written about the engagements that follow, were each pinned to the new version: system by system, read at once."""
        moving = [each for each in followers if each.engagement.state in HAS_RECORDS]
        shown.engagements = len(moving)
        systems = list(systems_of(self.hub.tenant(self.tenant), self.mapping_id))
        with ExitStack() as stack:
            found: list[Future[list[Shown] | Held]] = []
            for system in systems:
                pool = ThreadPoolExecutor(max(1, READERS // len(systems)), thread_name_prefix=f"rehearsal-{system}")
                stack.callback(pool.shutdown, cancel_futures=True)
                found += [pool.submit(self._writes_of, each, system) for each in moving]
            for number, future in enumerate(found, 1):
                answer = future.result()
                if isinstance(answer, Held):
                    shown.held.append(answer)
                else:
                    shown.writes += answer
                self.progress(number, len(found))

    def _writes_of(self, follower: _Follower, system: str) -> list[Shown] | Held:
        engagement = follower.engagement
        supposed = engagement.model_copy(update={"mapping_pins": {**engagement.mapping_pins, self.mapping_id: self.new.version}})
        case = SupposedCase(self.hub, _nobody(self.tenant, engagement), system, supposed)
        try:
            writes = list(case.would_write(offline=self.offline))
            made_of = case.outgoing().desired.fields if writes else {}
        except HubError as error:
            return Held(system, engagement.terms.vms_id, str(error))
        return [_with_origins_hidden(each, made_of, follower.hidden) for each in writes]

    def _recorded(self, system: str, last: int) -> list[SourceRecord]:
        with self.hub.database.transaction(self.tenant) as tx:
            return sources.list_latest(tx, system, limit=last)


@dataclass(frozen=True, slots=True)
class _Follower:
    """An engagement as it would be, and how its terms came about."""

    engagement: Engagement
    lineage: SourceLineage | None

    @property
    def hidden(self) -> frozenset[str]:
        """The canonical fields that are not for every eye."""
        fields = self.lineage.fields if self.lineage else {}
        return frozenset(target for target, said in fields.items() if said.sensitive)


@dataclass(frozen=True)
class _Pair:
    old: CompiledMapping
    new: CompiledMapping


@dataclass(frozen=True)
class SupposedCase(Case):
    """A case of an engagement as it would be. It plans as a real one does, and writes nothing."""

    supposed: Engagement | None = None

    @property
    def engagement(self) -> Engagement:
        """The engagement as it would be."""
        if self.supposed is None:
            raise TypeError("a supposed case needs its engagement")
        return self.supposed

    def would_write(self, *, offline: bool) -> Iterator[Shown]:
        """Every field, and for a directory every change of access, that a run would write now. Raises what reading raises."""
        instance, vms_id = self.config.instance(self.system), self.engagement.terms.vms_id
        desired = self.outgoing().desired
        is_directory = instance.connector.can.directory is not None
        known = self.external_id(ACCOUNT if is_directory else RECORD)
        account = read_account(self.directory, known) if is_directory and known is not None and not offline else None
        if known is None:
            plan: WritePlan = desired.whole()
        elif is_directory:
            plan = desired.plan((account.attributes if account else None) or {})
        else:
            plan = desired.plan(None if offline else read_record(instance.sink(), known).values)
        for change in plan.changes:
            yield Shown(self.system, vms_id, change.target, change.before, change.after, change.sensitive)
        for step in plan_access(self.desired_account(self.outgoing().values), account) if account else ():
            yield Shown(self.system, vms_id, str(step.kind), None, step.detail)


def _nobody(tenant: str, engagement: Engagement) -> CaseRef:
    """The ids of a case that nobody runs."""
    return CaseRef(tenant, str(engagement.id), "rehearsal", engagement.epoch)


def _with_origins_hidden(shown: Shown, fields: Mapping[str, MappedField], hidden: frozenset[str]) -> Shown:
    """What would be written, as sensitive as what it is made of."""
    made_of = fields[shown.target].read if shown.target in fields else {}
    return replace(shown, sensitive=True) if hidden & made_of.keys() else shown


def _mapped(
    mapping: CompiledMapping, system: str, record: SourceRecord, known: Engagement | None
) -> tuple[MappedOrder | None, str]:
    """The record by one version, or why it would be set aside."""
    try:
        return guarded(map_order(mapping, system, record), known), ""
    except HubError as error:
        return None, str(error)


def _agreement_fields(mapping: CompiledMapping, record: SourceRecord) -> dict[str, MappedField] | str:
    try:
        return field_lineage(record.values, mapping.apply(record.values))
    except HubError as error:
        return str(error)


def _differences(subject: str, before: dict[str, MappedField], after: dict[str, MappedField]) -> Iterator[Shown]:
    for target in sorted({*before, *after}):
        old, new = before.get(target), after.get(target)
        values = old.value if old else None, new.value if new else None
        if not equal(*values):
            yield Shown(CANONICAL, subject, target, *values, sensitive=any(one.sensitive for one in (old, new) if one))
