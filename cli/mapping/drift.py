"""``stint mappings drift``: what changed on the other side, how many records wait for it, and a proposed edit."""

from __future__ import annotations

import shlex
from typing import Any

from config.hub import Hub
from flows.mapping.drift import Drift, drifts
from mappings.drift import DRIFT


def drift_rows(hub: Hub, tenant: str) -> list[dict[str, Any]]:
    """Every cause by which several records may be held, the largest first; ``proposal`` is text for the mapping's next version.

    A cause that says that records themselves are wrong, and not that the other side changed, has no proposal.
    """
    return [_row(found) for found in drifts(hub, tenant)]


def drift_lines(row: dict[str, Any]) -> list[str]:
    """A row for people: the cause, what to do first, the edit, and how to try again."""
    edit = [f"    {line}" for line in row["proposal"].splitlines()]
    return [
        f"{row['records']} record(s) since {row['since']}: {row['cause']}",
        f"  {row['message']}",
        *([f"  first: {row['first']}"] if row["first"] else []),
        *edit,
        f"  once mended: {row['replay']} --preview",
    ]


def _row(found: Drift) -> dict[str, Any]:
    group, cause = found.group, found.cause
    return {
        "cause": group.key,
        "mapping": cause.mapping_id,
        "kind": str(cause.kind),
        "field": cause.source,
        "value": cause.value,
        "records": group.size,
        "since": group.since.isoformat(timespec="seconds"),
        "drift": cause.kind in DRIFT,
        "first": found.first,
        "proposal": found.proposal,
        "replay": f"stint failures replay --cause {shlex.quote(group.key)}",
        "message": group.message,
    }
