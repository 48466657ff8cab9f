"""Whose word counts for a field, and that no change goes round in circles between systems, whoever owns what."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.tenant import TenantDocument
from flows.mapping.ownership import kept_targets, owner_of, parts_of
from provisioning.fakes import InMemorySink
from provisioning.writing import WritePlan, plan_write, put
from workforce.lineage import MappedField, MappingUsed, RecordWrite

MARKER = "ST0123456789ABC"
MAPPING = MappingUsed(mapping_id="engagement__any", version="v0001", sha256="a" * 64)
PATHS = ("worker.phone", "worker.country", "terms.role", "terms.rate.amount")
PARTS = ("vms", "hris", "payroll")
STRENGTHS = ("strong", "normal", "weak")
SYSTEMS = {"esign": "sign", "vms": "fieldglass", "hris": "bamboohr", "payroll": "gusto", "directories": ["entra"]}


def a_tenant(**ownership: str) -> TenantDocument:
    return tenant_with(ownership)


def tenant_with(ownership: dict[str, str]) -> TenantDocument:
    content = {"tenant": "acme", "name": "Acme", "email_domain": "acme.example", "systems": SYSTEMS, "ownership": ownership}
    return TenantDocument.model_validate(content)


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("worker.phone", "payroll"),
        ("worker.personal_email", "hris"),
        ("terms.role", "vms"),
        ("terms.rate.amount", "hris"),
        ("account.email", "stint"),
        ("engagement.end_at", "stint"),
        ("worker.marker", "stint"),
    ],
)
def test_the_longest_entry_decides_and_the_vms_owns_the_rest(path: str, owner: str) -> None:
    tenant = tenant_with({"worker": "hris", "worker.phone": "payroll", "terms.rate": "hris"})
    assert owner_of(tenant, path) == owner


def test_a_name_that_only_begins_alike_is_not_covered() -> None:
    assert owner_of(tenant_with({"worker.phone": "hris"}), "worker.phone_home") == "vms"


def test_a_field_is_kept_by_the_system_that_owns_all_that_it_is_made_of() -> None:
    fields = {
        "phone": MappedField(value="1", read={"worker.phone": "1"}),
        "mixed": MappedField(value="1", read={"worker.phone": "1", "terms.role": "x"}),
        "login": MappedField(value="a", read={"account.login": "a"}),
        "kind": MappedField(value="Individual", origin="constant"),
    }
    tenant = tenant_with({"worker": "hris"})
    assert kept_targets(tenant, "bamboohr", fields) == {"phone"}
    assert kept_targets(tenant, "gusto", fields) == frozenset()
    assert kept_targets(tenant, "entra", fields) == frozenset()


def test_a_system_may_play_several_parts() -> None:
    tenant = TenantDocument.model_validate({**a_tenant().model_dump(), "systems": {**SYSTEMS, "payroll": "bamboohr"}})
    assert parts_of(tenant, "bamboohr") == {"hris", "payroll"}


# Nothing goes round in circles


@dataclass
class Round:
    """A VMS that says the terms, and two systems that keep copies and tell that they changed, wired as the flows wire them."""

    tenant: TenantDocument
    strengths: dict[str, str]
    said: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PATHS, "a"))
    sinks: dict[str, InMemorySink] = field(default_factory=lambda: {name: InMemorySink() for name in ("bamboohr", "gusto")})
    standing: dict[str, RecordWrite] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    given: list[tuple[str, str, object]] = field(default_factory=list)
    contested: dict[str, set[str]] = field(default_factory=dict)

    def join(self) -> None:
        """The joiner's step for each system. A write makes the system tell that something changed."""
        for name, sink in self.sinks.items():
            plan = self.plan(name)
            if name not in self.standing:
                sink.create(MARKER, plan.values())
            elif not plan.is_empty:
                sink.update("record-1", plan.values())
            if not plan.is_empty:
                self.events.append(name)
            self.given += [(name, change.target, change.after) for change in plan.changes]
            self.standing[name] = RecordWrite(system=name, mapping=MAPPING, fields=plan.result, changed=plan.changed)
            self.contested[name] = {conflict.target for conflict in plan.remaining()}

    def plan(self, name: str) -> WritePlan:
        wanted = {
            path: MappedField(value=value, read={path: value}, strength=self.strengths[path]) for path, value in self.said.items()
        }
        standing = self.standing.get(name)
        found = self.sinks[name].read("record-1").values if standing else None
        return plan_write(wanted, cleared=(), standing=standing, found=found, kept=kept_targets(self.tenant, name, wanted))

    def hear(self) -> None:
        """Every event is looked at, as the projection does; one may have the joiner run besides."""
        heard, self.events = self.events, []
        for name in heard:
            self.contested[name] = {conflict.target for conflict in self.plan(name).conflicts}
        if heard:
            self.join()


changes_of_fields = st.lists(
    st.tuples(st.sampled_from(["fieldglass", "bamboohr", "gusto"]), st.sampled_from(PATHS), st.sampled_from("abc"))
)


@given(
    ownership=st.dictionaries(st.sampled_from([*PATHS, "worker", "terms"]), st.sampled_from(PARTS)),
    strengths=st.fixed_dictionaries({path: st.sampled_from(STRENGTHS) for path in PATHS}),
    changes=changes_of_fields,
)
def test_every_change_settles_and_no_value_comes_back_to_the_system_that_it_came_from(
    ownership: dict[str, str], strengths: dict[str, str], changes: list[tuple[str, str, str]]
) -> None:
    world = Round(tenant_with(ownership), strengths)
    world.join()
    for number, (where, path, letter) in enumerate(changes):
        value = f"{letter}{number}" if where != "fieldglass" else letter
        if where == "fieldglass":
            world.said[path] = value
        else:
            put_by_hand(world, where, path, value)
        written = len(world.given)
        world.join()
        for _ in range(2):
            world.hear()
        assert world.events == []
        assert len(world.given) - written <= len(world.sinks) * len(PATHS)
        assert (where, path, value) not in world.given[written:] or where == "fieldglass"
        assert not [one for one in world.given if where != "fieldglass" and one[2] == value]


def put_by_hand(world: Round, where: str, path: str, value: str) -> None:
    """A person changes one field of a record, and the system tells."""
    values: dict[str, object] = {}
    put(values, path, value)
    world.sinks[where].update("record-1", values)
    world.events.append(where)
