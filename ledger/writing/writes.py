"""What was written where, and why: the lineage of every outside write of a record. Rows are only added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from workforce.lineage import MappedField, MappingUsed, RecordWrite, SourceLineage


@dataclass(frozen=True, slots=True)
class WriteLine:
    """One write of the history, and when."""

    write: RecordWrite
    written_at: datetime


def remember(tx: Tx, engagement_id: UUID, write: RecordWrite) -> None:
    """Keep what stands in the system now. The same again changes nothing, unless another engagement of the person wrote there since."""
    known = newest(tx, engagement_id, write.system)
    is_told = known is not None and known.model_copy(update={"changed": write.changed}) == write
    if is_told and not _is_overtaken(tx, engagement_id, write.system):
        return
    tx.execute(
        """
        INSERT INTO record_writes (tenant, id, engagement_id, system, mapping_id, version, sha256, fields, changed, source)
        VALUES (%(tenant)s, %(id)s, %(engagement_id)s, %(system)s, %(mapping_id)s, %(version)s, %(sha256)s, %(fields)s, %(changed)s,
                %(source)s)
        """,
        tenant=tx.tenant,
        id=uuid7(),
        engagement_id=engagement_id,
        system=write.system,
        **write.mapping.model_dump(),
        fields={target: field.model_dump(mode="json") for target, field in write.fields.items()},
        changed=list(write.changed),
        source=None if write.source is None else write.source.model_dump(mode="json"),
    )


def newest(tx: Tx, engagement_id: UUID, system: str) -> RecordWrite | None:
    """What stands in the system about the engagement, as far as we wrote it."""
    row = tx.one(
        """
        SELECT * FROM record_writes WHERE engagement_id = %(engagement_id)s AND system = %(system)s
        ORDER BY written_at DESC, id DESC LIMIT 1
        """,
        engagement_id=engagement_id,
        system=system,
    )
    return None if row is None else _from_row(row)


def newest_of_person(tx: Tx, engagement_id: UUID, system: str) -> RecordWrite | None:
    """What stands in the system about the engagement's person, whichever of their engagements wrote it: for what these share."""
    row = _newest_row_of_person(tx, engagement_id, system)
    return None if row is None else _from_row(row)


def history(tx: Tx, engagement_id: UUID) -> list[WriteLine]:
    """Every write about the engagement, the newest first."""
    rows = tx.all("SELECT * FROM record_writes WHERE engagement_id = %(id)s ORDER BY written_at DESC, id DESC", id=engagement_id)
    return [WriteLine(_from_row(row), row["written_at"]) for row in rows]


def _is_overtaken(tx: Tx, engagement_id: UUID, system: str) -> bool:
    """Whether another engagement of the person wrote in the system later than this one."""
    row = _newest_row_of_person(tx, engagement_id, system)
    return row is not None and row["engagement_id"] != engagement_id


def _newest_row_of_person(tx: Tx, engagement_id: UUID, system: str) -> Row | None:
    return tx.one(
        """
        SELECT * FROM record_writes WHERE system = %(system)s AND engagement_id IN (
            SELECT other.id FROM engagements one JOIN engagements other ON other.worker_id = one.worker_id
            WHERE one.id = %(engagement_id)s
        )
        ORDER BY written_at DESC, id DESC LIMIT 1
        """,
        engagement_id=engagement_id,
        system=system,
    )


def _from_row(row: Row) -> RecordWrite:
    return RecordWrite(
        system=row["system"],
        mapping=MappingUsed(mapping_id=row["mapping_id"], version=row["version"], sha256=row["sha256"]),
        fields={target: MappedField.model_validate(field) for target, field in row["fields"].items()},
        changed=tuple(row["changed"]),
        source=None if row["source"] is None else SourceLineage.model_validate(row["source"]),
    )
