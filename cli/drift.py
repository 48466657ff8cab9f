"""``stint mappings drift``: what changed on the other side, how many records wait for it, and a proposed edit."""

from __future__ import annotations

from typing import Any

from config.hub import Hub
from flows.versions import Versions
from ledger import failures
from ledger.failures import FailureGroup
from mappings.drift import DRIFT, Cause, proposal
from workforce.errors import HubError


def drift_rows(hub: Hub, tenant: str) -> list[dict[str, Any]]:
    """Every cause by which several records may be held, the largest first; ``proposal`` is text for the mapping's next version.

    A cause that says that records themselves are wrong, and not that the other side changed, has no proposal.
    """
    with hub.database.transaction(tenant) as tx:
        groups = failures.groups(tx)
    causes = {group.key: cause for group in groups if (cause := Cause.of_key(group.key, group.field))}
    return [
        {
            "cause": group.key,
            "mapping": cause.mapping_id,
            "kind": str(cause.kind),
            "field": cause.source,
            "value": cause.value,
            "records": group.size,
            "since": group.since.isoformat(timespec="seconds"),
            "drift": cause.kind in DRIFT,
            "proposal": _proposal(hub, tenant, cause, list(causes.values())) if cause.kind in DRIFT else "",
            "message": group.message,
        }
        for group, cause in _paired(groups, causes)
    ]


def _paired(groups: list[FailureGroup], causes: dict[str, Cause]) -> list[tuple[FailureGroup, Cause]]:
    return [(group, causes[group.key]) for group in groups if group.key in causes]


def _proposal(hub: Hub, tenant: str, cause: Cause, others: list[Cause]) -> str:
    kin = [other for other in others if other.mapping_id == cause.mapping_id and other != cause]
    try:
        with hub.database.transaction(tenant) as tx:
            mapping = Versions(hub, tenant).current(tx, cause.mapping_id).mapping
    except HubError as error:
        return f"# {error}\n"
    return proposal(cause, mapping, kin)
