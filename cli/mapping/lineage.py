"""``stint engagements show --lineage``: why a field in a system has the value that it has, back to the record it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.actor import person
from cli.reading import find_engagement
from config.hub import Hub
from flows.mapping.lineage import Origin, Traced, trace
from ledger.database import Tx
from ledger.trail import audit
from workforce.engagement import Engagement
from workforce.errors import NotFound
from workforce.lineage import MappingUsed

HIDDEN = "(hidden; --show-sensitive shows it, and is audited)"
SHORT_HASH = 12


def engagement_lineage(
    hub: Hub, tenant: str, key: str, *, system: str | None, field: str | None, show_sensitive: bool
) -> list[dict[str, Any]]:
    """Each field that was written about an engagement, with its way from the source. Sensitive values are left out unless asked for.

    Raises ``NotFound`` naming what there is.
    """
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
        found = trace(tx, engagement.id, system=system, name=field)
        if not found:
            raise _nothing_found(tx, engagement, system)
        if show_sensitive:
            _note(tx, engagement, found)
    return [_row(traced, hidden=traced.is_sensitive and not show_sensitive) for traced in found]


def lineage_lines(row: dict[str, Any]) -> Iterator[str]:
    """A row for people: the value first, then step by step back to the source."""
    yield f"{row['system']} {row['field']} = {_shown(row, row['value'])}"
    yield f"    written    {row['written_at']}, {row['strength']}"
    yield f"    by         {_by(row)}"
    for origin in row["canonical"]:
        yield f"    from       {origin['field']} = {_shown(row, origin['value'])}"
        if origin["source"] is None:
            yield "               which Stint decides itself" if row["source"] else "               whose source was not kept"
            continue
        yield f"    by         {_by({**origin['source'], 'mapping': row['source']['mapping']})}"
        for path, value in origin["source"]["read"].items():
            record = row["source"]
            yield f"    from       {record['system']} {record['record']}, version {record['version']}: {path} = {_shown(row, value)}"


def _nothing_found(tx: Tx, engagement: Engagement, system: str | None) -> NotFound:
    known = trace(tx, engagement.id, system=system)
    names = ", ".join(dict.fromkeys(traced.target for traced in known)) or ", ".join(
        dict.fromkeys(traced.system for traced in trace(tx, engagement.id))
    )
    text = f"there is: {names}" if names else "nothing was written about this engagement yet"
    return NotFound(f"nothing of that name was written; {text}", field="field")


def _note(tx: Tx, engagement: Engagement, found: list[Traced]) -> None:
    """Who looked at which sensitive values; never the values."""
    seen = sorted({f"{traced.system}:{traced.target}" for traced in found if traced.is_sensitive})
    audit.note(
        tx,
        "lineage.sensitive_shown",
        actor=person(),
        engagement_id=engagement.id,
        fields=seen,
    )


def _row(traced: Traced, *, hidden: bool) -> dict[str, Any]:
    source = traced.source
    return {
        "system": traced.system,
        "field": traced.target,
        "value": None if hidden else traced.field.value,
        "hidden": hidden,
        "written_at": traced.written_at.isoformat(timespec="seconds"),
        "strength": traced.field.strength,
        "origin": traced.field.origin,
        "mapping": _mapping(traced.mapping),
        "transforms": list(traced.field.transforms),
        "canonical": [_canonical(origin, hidden=hidden) for origin in traced.origins()],
        "source": source
        and {
            "system": source.system,
            "record": source.external_id,
            "version": source.record_version,
            "mapping": _mapping(source.mapping),
        },
    }


def _canonical(origin: Origin, *, hidden: bool) -> dict[str, Any]:
    said = origin.said
    return {
        "field": origin.path,
        "value": None if hidden else origin.value,
        "source": said
        and {
            "read": {path: None if hidden else value for path, value in said.read.items()},
            "transforms": list(said.transforms),
            "origin": said.origin,
        },
    }


def _mapping(used: MappingUsed) -> dict[str, str]:
    return {"id": used.mapping_id, "version": used.version, "sha256": used.sha256[:SHORT_HASH]}


def _by(row: dict[str, Any]) -> str:
    """``engagement__gusto v0001 (3f2a…): decimal, money``."""
    mapping, steps = row["mapping"], ", ".join(row["transforms"])
    how = steps or {"source": "as it is"}.get(row["origin"], row["origin"])
    return f"{mapping['id']} {mapping['version']} ({mapping['sha256']}): {how}"


def _shown(row: dict[str, Any], value: object) -> str:
    if row["hidden"]:
        return HIDDEN
    return "null" if value is None else str(value)
