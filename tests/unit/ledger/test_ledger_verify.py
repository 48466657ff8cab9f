from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.trail import audit, merkle
from ledger.trail.checkpoint import Signer
from ledger.trail.verify import Report, TrailRow, lines, verify
from workforce.events import HUB, AuditEvent, Outcome

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_trail(size: int, *, tenant: str = "acme", note: str = "") -> list[TrailRow]:
    rows: list[TrailRow] = []
    previous = bytes(32)
    for seq in range(1, size + 1):
        event = AuditEvent("account.disabled", HUB, Outcome.SUCCESS, "account", f"a-{seq}", NOON, details={"note": note})
        text = rfc8785.dumps(audit.body(tenant, seq, event, recorded_at=NOON))
        digest = hashlib.sha256(previous + text).digest()
        rows.append(TrailRow(seq, previous, digest, text.decode()))
        previous = digest
    return rows


def a_checkpoint(rows: list[TrailRow], *, signer: Signer = SIGNER, tenant: str = "acme") -> str:
    head = signer.sign(
        tenant=tenant, size=len(rows), root=merkle.root([row.event_hash for row in rows]), time="2026-11-21T12:00:00"
    )
    return rfc8785.dumps(asdict(head)).decode()


def the_report(rows: list[TrailRow], checkpoints: list[str], *, tenant: str = "acme") -> Report:
    return verify(rows, checkpoints, SIGNER.public_key, tenant=tenant)


TRAIL = a_trail(5)
CHECKPOINTS = [a_checkpoint(TRAIL[:3]), a_checkpoint(TRAIL)]


def flipped(value: bytes, place: int, bit: int) -> bytes:
    return value[:place] + bytes([value[place] ^ (1 << bit)]) + value[place + 1 :]


def rechained(rows: list[TrailRow]) -> list[TrailRow]:
    previous, result = bytes(32), []
    for seq, row in enumerate(rows, start=1):
        body = json.loads(row.event) | {"seq": seq}
        text = rfc8785.dumps(body)
        digest = hashlib.sha256(previous + text).digest()
        result.append(TrailRow(seq, previous, digest, text.decode()))
        previous = digest
    return result


@given(st.integers(0, 40), st.integers(0, 40))
def test_an_untouched_trail_passes_under_any_checkpoints(size: int, covered: int) -> None:
    rows = a_trail(max(size, covered))
    checkpoints = [a_checkpoint(rows[:length]) for length in sorted({size, covered}) if length]
    report = the_report(rows, checkpoints)
    assert report.faults == []
    assert (report.events, report.covered) == (len(rows), len(rows))


@pytest.mark.parametrize("bit", [0, 5])
def test_every_flipped_byte_of_every_event_is_found(bit: int) -> None:
    missed = 0
    for number, row in enumerate(TRAIL):
        text = row.event.encode()
        changes = [replace(row, event=flipped(text, place, bit).decode("utf-8", "surrogateescape")) for place in range(len(text))]
        changes += [replace(row, prev_hash=flipped(row.prev_hash, place, bit)) for place in range(32)]
        changes += [replace(row, event_hash=flipped(row.event_hash, place, bit)) for place in range(32)]
        changes += [replace(row, seq=row.seq ^ (1 << shift)) for shift in range(16)]
        missed += sum(the_report([*TRAIL[:number], changed, *TRAIL[number + 1 :]], CHECKPOINTS).ok for changed in changes)
    assert missed == 0


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_byte_of_the_checkpoint_file_is_found(bit: int) -> None:
    file = "".join(f"{line}\n" for line in CHECKPOINTS).encode()
    changed = [flipped(file, place, bit).decode("utf-8", "surrogateescape") for place in range(len(file))]
    assert sum(the_report(TRAIL, lines(text)).ok for text in changed) == 0


@given(st.permutations(range(5)).filter(lambda order: order != list(range(5))))
def test_every_other_order_is_found_even_if_it_is_chained_anew(order: list[int]) -> None:
    moved = [TRAIL[place] for place in order]
    assert not the_report(moved, CHECKPOINTS).ok
    assert not the_report(rechained(moved), CHECKPOINTS).ok


@given(st.sets(st.integers(0, 4), min_size=1))
def test_missing_events_are_found_even_if_the_rest_is_chained_anew(missing: set[int]) -> None:
    left = [row for place, row in enumerate(TRAIL) if place not in missing]
    assert not the_report(left, CHECKPOINTS).ok
    assert not the_report(rechained(left), CHECKPOINTS).ok


REWRITES: dict[str, Callable[[], tuple[list[TrailRow], list[str]]]] = {
    "another history of the same length": lambda: (a_trail(5, note="nothing happened"), CHECKPOINTS),
    "the trail set back, and grown again": lambda: (a_trail(3)[:3] + rechained(a_trail(6))[3:], CHECKPOINTS),
    "a checkpoint of another key": lambda: (TRAIL, [a_checkpoint(TRAIL, signer=Signer(Ed25519PrivateKey.generate()))]),
    "another tenant's trail and checkpoint": lambda: (
        a_trail(5, tenant="other"),
        [a_checkpoint(a_trail(5, tenant="other"), tenant="other")],
    ),
    "checkpoints in the wrong order": lambda: (TRAIL, CHECKPOINTS[::-1]),
    "no checkpoint at all": lambda: (TRAIL, []),
    "an empty database": lambda: ([], CHECKPOINTS),
}


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES.keys())
def test_a_rewritten_history_is_found(rewrite: Callable[[], tuple[list[TrailRow], list[str]]]) -> None:
    rows, checkpoints = rewrite()
    assert not the_report(rows, checkpoints).ok


def test_the_report_says_how_far_the_checkpoints_reach() -> None:
    report = the_report(TRAIL, CHECKPOINTS[:1])
    assert report.ok
    assert (report.events, report.covered, report.checkpoints) == (5, 3, 1)


def test_the_verifier_takes_nothing_from_the_modules_that_write() -> None:
    from pathlib import Path

    import ledger.trail.verify

    source = Path(ledger.trail.verify.__file__).read_text()
    assert [line for line in source.splitlines() if line.startswith(("from ledger", "import ledger"))] == [
        "from ledger.database import Database"
    ]
