"""A dry run: what another version of a mapping would change, from recorded records, and what would be written where.

It goes the way of a real run, with the same code, up to the point at which something would be written. So what it shows is what putting
the version in force writes, as long as nobody else changes anything in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from config.hub import Hub
from flows.case import ACCOUNT, Case, CaseRef
from flows.intake import RECORD, Intake, MappedOrder, guarded, map_order
from flows.lineage import field_lineage
from flows.promotion import HAS_RECORDS, OVER, systems_of
from flows.versions import Versions
from ledger import engagements, sources
from mappings.engine import CompiledMapping
from provisioning.plan import plan_access
from provisioning.readback import read_account
from provisioning.records import read_record
from provisioning.writing import WritePlan, equal
from workforce.engagement import Engagement
from workforce.errors import HubError
from workforce.lineage import MappedField
from workforce.ports import SourceRecord
from workforce.versions import Running

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
    """What a dry run found. ``records`` were replayed; ``mended`` are those that today's version refuses and the new one takes."""

    mapping_id: str
    version: str
    records: int = 0
    engagements: int = 0
    compared_with: Counter[str] = field(default_factory=Counter)
    changes: list[Shown] = field(default_factory=list)
    writes: list[Shown] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rehearsing:
    """One dry run. ``offline`` compares with what was written last instead of asking the systems what they hold."""

    hub: Hub
    tenant: str
    mapping_id: str
    label: str
    running: Running = Running.MIGRATE
    offline: bool = False

    def run(self, last: int = 500) -> Rehearsal:
        """Replay the ``last`` records that were read. Writes nothing. Raises ``Misconfigured`` for an unknown or faulty version."""
        shown = Rehearsal(self.mapping_id, self.new.version)
        source, _, target = self.mapping_id.partition("__")
        if source == "engagement":
            self._outgoing(shown, last)
        elif target == "agreement":
            self._agreements(shown, last)
        else:
            self._work_orders(shown, last)
        return shown

    @cached_property
    def new(self) -> CompiledMapping:
        """The version that is rehearsed."""
        return self._versions.registry.get(self.mapping_id, self.label)

    @property
    def _versions(self) -> Versions:
        return Versions(self.hub, self.tenant)

    def _work_orders(self, shown: Rehearsal, last: int) -> None:
        """Records of the VMS: how their terms change, and what follows in every system that keeps records."""
        intake = Intake(self.hub, self.tenant, self.hub.tenant(self.tenant).document.systems.vms)
        for record in self._recorded(intake.system, last):
            with self.hub.database.transaction(self.tenant) as tx:
                known = engagements.by_vms_id(tx, intake.system, record.external_id)
                old = self._versions.of(tx, self.mapping_id, known)
            taken = self._compare(shown, record, known, _Pair(old, self.new), intake.system)
            if taken is not None and known is not None and self._moves(known):
                self._follow(shown, known.with_order(taken.order))

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

    def _outgoing(self, shown: Rehearsal, last: int) -> None:
        """Running engagements: what the mapping's own system would be told otherwise."""
        with self.hub.database.transaction(self.tenant) as tx:
            everything = engagements.newest(tx, limit=last)
        for engagement in everything:
            if engagement.state in HAS_RECORDS and self._moves(engagement):
                shown.records += 1
                shown.compared_with[engagement.mapping_pins.get(self.mapping_id, "none")] += 1
                self._follow(shown, engagement)

    def _agreements(self, shown: Rehearsal, last: int) -> None:
        """Envelopes: how the agreement is read. Nothing is written of an agreement."""
        system = self.hub.tenant(self.tenant).document.systems.esign
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
        return self.running is Running.MIGRATE and pinned != self.new.version and engagement.state not in OVER

    def _follow(self, shown: Rehearsal, engagement: Engagement) -> None:
        """What would be written about a running engagement, were it as ``engagement`` and pinned to the new version."""
        if engagement.state not in HAS_RECORDS:
            return
        shown.engagements += 1
        supposed = engagement.model_copy(update={"mapping_pins": {**engagement.mapping_pins, self.mapping_id: self.new.version}})
        config = self.hub.tenant(self.tenant)
        for system in systems_of(config, self.mapping_id):
            case = SupposedCase(self.hub, _nobody(self.tenant, engagement), system, supposed)
            try:
                shown.writes += case.would_write(offline=self.offline)
            except HubError as error:
                shown.held.append(Held(system, engagement.terms.vms_id, str(error)))

    def _recorded(self, system: str, last: int) -> list[SourceRecord]:
        with self.hub.database.transaction(self.tenant) as tx:
            return sources.list_latest(tx, system, limit=last)


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
        if known is None:
            plan: WritePlan = desired.whole()
        elif is_directory:
            plan = desired.plan({})
        else:
            plan = desired.plan(None if offline else read_record(instance.sink(), known).values)
        for change in plan.changes:
            yield Shown(self.system, vms_id, change.target, change.before, change.after, change.sensitive)
        if is_directory and known is not None and not offline:
            account = self.desired_account(self.outgoing().values)
            for step in plan_access(account, read_account(self.directory, known)):
                yield Shown(self.system, vms_id, str(step.kind), None, step.detail)


def _nobody(tenant: str, engagement: Engagement) -> CaseRef:
    """The ids of a case that nobody runs."""
    return CaseRef(tenant, str(engagement.id), "rehearsal", engagement.epoch)


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
