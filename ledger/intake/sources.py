"""What sources told us: their records as last read, and how far each feed was followed."""

from __future__ import annotations

import json
import re
from datetime import datetime

from ledger.database import Tx
from workforce.errors import Refused
from workforce.ports import SourceRecord

_NO_TEXT = re.compile("(?<!\\\\)(?:\\\\\\\\)*\\\\u0000|[\ud800-\udfff]")
"""In JSON: a NUL, or half of a surrogate pair, which are characters that no database keeps."""


def remember(tx: Tx, system: str, record: SourceRecord) -> bool:
    """Keep the record as read just now; false if a newer version is kept already. Raises ``Refused`` for text that cannot be kept."""
    _require_text(record)
    statement = """
        INSERT INTO source_records (tenant, system, external_id, version, "values")
        VALUES (%(tenant)s, %(system)s, %(external_id)s, %(version)s, %(values)s)
        ON CONFLICT (tenant, system, external_id) DO UPDATE
        SET version = excluded.version, "values" = excluded."values", read_at = excluded.read_at
        WHERE source_records.version <= excluded.version
    """
    stored = tx.execute(
        statement,
        tenant=tx.tenant,
        system=system,
        external_id=record.external_id,
        version=record.version,
        values=record.values,
    )
    return stored == 1


def is_superseded(tx: Tx, system: str, record: SourceRecord) -> bool:
    """Whether a newer version of the record is kept already."""
    known = latest(tx, system, record.external_id)
    return known is not None and known[0].version > record.version


def latest(tx: Tx, system: str, external_id: str) -> tuple[SourceRecord, datetime] | None:
    """The newest kept version of a record and when it was read."""
    row = tx.one(
        """
        SELECT version, "values", read_at FROM source_records
        WHERE system = %(system)s AND external_id = %(external_id)s
        """,
        system=system,
        external_id=external_id,
    )
    return None if row is None else (SourceRecord(external_id, row["version"], row["values"]), row["read_at"])


def list_latest(tx: Tx, system: str, *, limit: int = 10_000) -> list[SourceRecord]:
    """The newest kept version of the records of ``system`` that were read last, the last one first."""
    rows = tx.all(
        """
        SELECT external_id, version, "values" FROM source_records
        WHERE system = %(system)s ORDER BY read_at DESC, external_id LIMIT %(limit)s
        """,
        system=system,
        limit=limit,
    )
    return [SourceRecord(row["external_id"], row["version"], row["values"]) for row in rows]


def cursor(tx: Tx, instance: str) -> str | None:
    """How far the feed of a connector instance was followed."""
    row = tx.one("SELECT cursor FROM poll_cursors WHERE instance = %(instance)s", instance=instance)
    return None if row is None else str(row["cursor"])


def forget_cursor(tx: Tx, instance: str) -> None:
    """Have the feed followed from its beginning again: what is known already changes nothing."""
    tx.execute("DELETE FROM poll_cursors WHERE instance = %(instance)s", instance=instance)


def set_cursor(tx: Tx, instance: str, cursor: str) -> None:
    """Remember how far the feed was followed. Call it in the transaction that stores what was read."""
    tx.execute(
        """
        INSERT INTO poll_cursors (tenant, instance, cursor) VALUES (%(tenant)s, %(instance)s, %(cursor)s)
        ON CONFLICT (tenant, instance) DO UPDATE SET cursor = excluded.cursor, moved_at = clock_timestamp()
        """,
        tenant=tx.tenant,
        instance=instance,
        cursor=cursor,
    )


def _require_text(record: SourceRecord) -> None:
    for name, value in record.values.items():
        if _NO_TEXT.search(json.dumps({name: value}, ensure_ascii=False, default=str)):
            field = name.encode("utf-8", "replace").decode().replace("\0", "?")
            message = f"record {record.external_id}: {field} holds a character that no database keeps (NUL, or half of one); correct it there"
            raise Refused(message, cause="unstorable_text", field=field)
