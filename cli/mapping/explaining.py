"""``stint mappings explain``: how each field of one recorded record comes about, or what a company's own system is told."""

from __future__ import annotations

from collections.abc import Mapping

from cli.masks import MASK
from cli.reading import find_engagement
from config.hub import Hub
from config.mapping_ends import CANONICAL
from flows.case import Case, CaseRef
from flows.mapping.versions import Versions
from ledger.intake import sources
from ledger.intake.work_orders import source_lineage
from mappings.explain import FieldExplanation
from workforce.errors import NotFound


def explanation(
    hub: Hub, tenant: str, mapping_id: str, label: str | None, record_id: str
) -> tuple[str, list[tuple[FieldExplanation, bool]]]:
    """How a version makes each field of one recorded record, or of one engagement, and whether it is made of anything sensitive.

    Raises ``NotFound`` for a record that was never read.
    """
    with hub.database.transaction(tenant) as tx:
        chosen = label or Versions(hub, tenant, looks_only=True).current(tx, mapping_id).version
    mapping = hub.tenant(tenant).mappings.get(mapping_id, chosen)
    if mapping_id.partition("__")[0] == CANONICAL:
        values, hidden = _document(hub, tenant, record_id)
    else:
        values, hidden = _record(hub, tenant, mapping_id, record_id), frozenset()
    fields = mapping.explain(values)
    return chosen, [(field, field.sensitive or bool(hidden & set(field.sources))) for field in fields]


def _record(hub: Hub, tenant: str, mapping_id: str, record_id: str) -> Mapping[str, object]:
    config, source = hub.tenant(tenant), mapping_id.partition("__")[0]
    systems = [name for _, name, _ in config.document.systems.parts() if config.instance(name).connector.key == source]
    with hub.database.transaction(tenant) as tx:
        for system in systems:
            if known := sources.latest(tx, system, record_id):
                return known[0].values
    raise NotFound(
        f"no record {record_id!r} of {source} was read yet; for work orders see: stint engagements list", field="record"
    )


def _document(hub: Hub, tenant: str, key: str) -> tuple[Mapping[str, object], frozenset[str]]:
    """What outgoing mappings read of an engagement, and the canonical fields of it that are sensitive."""
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
        lineage = source_lineage(tx, engagement.id)
    case = Case(hub, CaseRef(tenant, str(engagement.id), "explain", engagement.epoch))
    said = lineage.fields if lineage else {}
    return case.document(), frozenset(target for target, field in said.items() if field.sensitive)


def explained(found: FieldExplanation, *, hidden: bool) -> dict[str, str]:
    """One field's explanation as text; its values are masked where ``hidden``."""

    def told(value: object) -> str:
        return MASK if hidden and value is not None else str(value)

    steps = [f"{step.name}: {told(step.value)}" for step in found.steps]
    result = str(found.fault) if found.fault else told(found.value) if found.applies else "the condition does not hold"
    return {
        "target": found.target,
        "read": "; ".join(f"{reading.path} = {told(reading.value)}" for reading in found.readings),
        "steps": " → ".join(steps),
        "result": result,
        "origin": str(found.origin or ""),
        "strength": str(found.strength),
    }
