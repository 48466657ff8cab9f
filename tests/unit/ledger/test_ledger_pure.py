from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import migrate
from ledger.ids import uuid7
from ledger.queueing.running_job import Lane, pause_seconds
from ledger.trail import audit
from ledger.trail.checkpoint import Signer
from ledger.vault import keys
from workforce.errors import Misconfigured, Refused
from workforce.events import HUB, AuditEvent, Outcome

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def the_details(details: dict[str, Any]) -> Any:
    event = AuditEvent("test.done", HUB, Outcome.SUCCESS, "test", "t-1", NOON, details=details)
    return json.loads(rfc8785.dumps(audit.body("acme", 1, event, recorded_at=NOON)))["details"]


def test_an_audit_event_holds_instants_ids_and_money_as_exact_text() -> None:
    written = the_details(
        {
            "at": datetime(2026, 11, 21, 13, tzinfo=timezone(timedelta(hours=1))),
            "id": UUID(int=7),
            "rate": Decimal("95.00"),
            "large": 2**60,
            "groups": {"b", "a"},
            "outcome": Outcome.SUCCESS,
        }
    )
    assert written == {
        "at": "2026-11-21T12:00:00.000000Z",
        "id": "00000000-0000-0000-0000-000000000007",
        "rate": "95.00",
        "large": str(2**60),
        "groups": ["a", "b"],
        "outcome": "success",
    }


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
)


@given(JSON_VALUES)
def test_whatever_the_details_hold_can_be_hashed_and_stored(value: Any) -> None:
    text = json.dumps(the_details({"value": value}), ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()


def test_ids_are_version_seven_and_sort_by_time() -> None:
    made = [uuid7() for _ in range(50)]
    assert {number.version for number in made} == {7}
    assert {number.variant for number in made} == {"specified in RFC 4122"}
    assert [number.int >> 80 for number in made] == sorted(number.int >> 80 for number in made)


@given(st.sampled_from(Lane), st.integers(1, 1000))
def test_pauses_grow_to_the_longest_of_their_lane(lane: Lane, attempt: int) -> None:
    longest = {Lane.REVOKE: 300, Lane.SYNC: 900, Lane.BULK: 60}[lane]
    assert 0 < pause_seconds(lane, attempt) <= longest
    assert pause_seconds(lane, 30) >= longest / 2


@given(st.floats(0, 86_400))
def test_a_vendors_wish_is_never_undercut(wish: float) -> None:
    assert pause_seconds(Lane.REVOKE, 1, wish) == wish


def test_a_wish_beyond_all_reason_is_a_day() -> None:
    assert pause_seconds(Lane.SYNC, 1, 1e300) == 86_400


@pytest.mark.parametrize("written", ["123-45-6789", " 123456789", "\uff11\uff12\uff13 45 6789"])
def test_a_tax_id_is_the_same_however_it_is_punctuated(written: str) -> None:
    assert keys.normalised(written) == "123456789"


def test_a_tax_id_without_a_digit_or_letter_is_refused() -> None:
    with pytest.raises(Refused):
        keys.normalised(" - ")


def test_keys_are_made_once_for_the_owner_alone_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "tax.keys"
    made = keys.load_or_create_keys(file)
    assert keys.load_or_create_keys(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.master.hex() not in repr(made)


def test_a_single_key_is_made_once_and_is_no_other_file_s_key(tmp_path: Path) -> None:
    made = keys.load_or_create_key(tmp_path / "credentials.key")
    assert keys.load_or_create_key(tmp_path / "credentials.key") == made
    assert len(made) == 32
    keys.load_or_create_keys(tmp_path / "tax.keys")
    with pytest.raises(Misconfigured, match="one line"):
        keys.load_or_create_key(tmp_path / "tax.keys")


def test_a_signing_key_is_made_once_and_read_back(tmp_path: Path) -> None:
    made = Signer.load_or_create(tmp_path / "audit.pem")
    assert Signer.load_or_create(tmp_path / "audit.pem").key_id == made.key_id


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "audit.pem"
    Signer.load_or_create(file)
    file.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        Signer.load_or_create(file)


@pytest.mark.parametrize("content", [b"", b"zz", b"00\n00\n"])
def test_a_damaged_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(Misconfigured, match="damaged"):
        keys.load_or_create_keys(file)
    with pytest.raises(Misconfigured, match="damaged"):
        Signer.load_or_create(file)


def test_the_newest_revision_is_the_one_that_alembic_would_run_to() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.head()]
