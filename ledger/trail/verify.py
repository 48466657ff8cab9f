"""The auditor's check of a trail against its checkpoints. It shares no code with the modules that write them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.database import Database

_SIGNED = ("key_id", "root", "size", "tenant", "time")
_HEX_SIGNATURE = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class TrailRow:
    """A stored event: its columns, and the text whose UTF-8 bytes were hashed."""

    seq: int
    prev_hash: bytes
    event_hash: bytes
    event: str


@dataclass(slots=True)
class Report:
    """What was found. ``covered`` events are under a checkpoint; the cutting-off of later ones cannot be seen yet."""

    events: int = 0
    checkpoints: int = 0
    covered: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


class _Tree:
    """The root over a growing list of leaves: a stack of complete subtrees, as (leaf count, hash)."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        count, digest = 1, hashlib.sha256(b"\x00" + leaf).digest()
        while self._stack and self._stack[-1][0] == count:
            _, left = self._stack.pop()
            count, digest = count * 2, hashlib.sha256(b"\x01" + left + digest).digest()
        self._stack.append((count, digest))

    def root(self) -> str:
        if not self._stack:
            return hashlib.sha256(b"").hexdigest()
        digest = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            digest = hashlib.sha256(b"\x01" + left + digest).digest()
        return digest.hex()


def verify(rows: Iterable[TrailRow], checkpoints: Sequence[str], public_key: Ed25519PublicKey, *, tenant: str) -> Report:
    """Check every event of ``tenant`` (``rows`` in the order of ``seq``) and every checkpoint (lines as written)."""
    report = Report()
    heads = _heads(checkpoints, public_key, tenant, report)
    by_size = {head["size"]: head for head in heads}
    tree, previous = _Tree(), bytes(32)
    for row in rows:
        report.events += 1
        digest = hashlib.sha256(previous + row.event.encode("utf-8", "surrogatepass")).digest()
        report.faults += _event_faults(row, report.events, previous, digest, tenant)
        tree.add(digest)
        previous = digest
        head = by_size.get(report.events)
        if head and head["root"] != tree.root():
            report.faults.append(f"checkpoint of {head['time']}: events 1 to {head['size']} are not those that were signed")
    _check_length(heads, report)
    return report


def verify_tenant(database: Database, tenant: str, folder: Path, public_key: Ed25519PublicKey) -> Report:
    """``verify`` the tenant's trail in ``database`` against ``folder/<tenant>.jsonl``."""
    file = folder / f"{tenant}.jsonl"
    text = file.read_bytes().decode("utf-8", "surrogateescape") if file.exists() else ""
    with database.transaction(tenant) as tx:
        stored = tx.all(
            "SELECT seq, prev_hash, event_hash, event FROM audit_events WHERE tenant = %(tenant)s ORDER BY seq", tenant=tenant
        )
    return verify((TrailRow(**row) for row in stored), lines(text), public_key, tenant=tenant)


def lines(text: str) -> list[str]:
    """The lines of a checkpoint file. Only a line feed ends a line, and an unfinished last line is kept as it is."""
    parts = text.split("\n")
    return parts[:-1] if parts[-1] == "" else [*parts[:-1], parts[-1] + " (unfinished)"]


def _event_faults(row: TrailRow, number: int, previous: bytes, digest: bytes, tenant: str) -> list[str]:
    body = _parsed(row.event)
    checks = {
        f"stands at place {number}: an event is missing, doubled or moved": row.seq == number,
        "does not follow the event before it": row.prev_hash == previous,
        "was changed: its hash does not match": row.event_hash == digest,
        "says another number or tenant of itself": (body.get("seq"), body.get("tenant")) == (row.seq, tenant),
    }
    return [f"event {row.seq} {fault}" for fault, passed in checks.items() if not passed]


def _heads(checkpoints: Sequence[str], public_key: Ed25519PublicKey, tenant: str, report: Report) -> list[dict[str, Any]]:
    heads: list[dict[str, Any]] = []
    for number, line in enumerate(checkpoints, start=1):
        report.checkpoints += 1
        head = _parsed(line)
        if not _is_signed(head, line, public_key):
            report.faults.append(f"checkpoint {number} is not signed by the given key, or was changed")
        elif head["tenant"] != tenant:
            report.faults.append(f"checkpoint {number} is about another tenant")
        elif heads and head["size"] <= heads[-1]["size"]:
            report.faults.append(f"checkpoint {number} covers no more than the one before it: the trail was set back")
        else:
            heads.append(head)
    return heads


def _is_signed(head: dict[str, Any], line: str, public_key: Ed25519PublicKey) -> bool:
    signature = head.get("signature")
    if set(head) != {*_SIGNED, "signature"} or not isinstance(signature, str) or not _HEX_SIGNATURE.fullmatch(signature):
        return False
    if line != _compact(head):
        return False
    key = hashlib.sha256(public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]
    try:
        public_key.verify(bytes.fromhex(signature), _compact({name: head[name] for name in _SIGNED}).encode())
    except InvalidSignature:
        return False
    return bool(head["key_id"] == key)


def _check_length(heads: list[dict[str, Any]], report: Report) -> None:
    if not heads:
        if report.events:
            report.faults.append(f"no valid checkpoint covers the {report.events} events: the file is missing, empty or foreign")
        return
    report.covered = heads[-1]["size"]
    if report.covered > report.events:
        report.faults.append(f"{report.events} events are left of {report.covered} that were signed: the trail was cut off")


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _compact(fields: dict[str, Any]) -> str:
    """Canonical JSON of flat fields in ASCII: sorted names, no blanks. There it equals RFC 8785."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))
