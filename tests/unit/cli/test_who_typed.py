"""Who typed a command: the account that logged in, whatever the environment says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.access.closure import closure_lines
from cli.actor import account_name, logged_in, person, stated
from workforce.errors import Refused
from workforce.events import ActorType


def test_the_account_that_logged_in_is_the_one_the_kernel_keeps(tmp_path: Path) -> None:
    place = tmp_path / "loginuid"
    assert logged_in(place) is None
    place.write_text("1001")
    assert logged_in(place) == 1001


@pytest.mark.parametrize("kept", ["4294967295", ""])
def test_where_nobody_logged_in_nobody_is_named(tmp_path: Path, kept: str) -> None:
    place = tmp_path / "loginuid"
    place.write_text(kept)
    assert logged_in(place) is None


def test_an_account_that_this_machine_does_not_know_keeps_its_number() -> None:
    assert account_name(0) == "root"
    assert account_name(2**31 - 7) == f"uid {2**31 - 7}"


def test_a_name_in_the_environment_makes_nobody_a_second_person(monkeypatch: pytest.MonkeyPatch) -> None:
    before = person()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "ben")
    assert person() == before
    assert before.type is ActorType.HUMAN
    assert before.id in {account_name(os.getuid()), account_name(logged_in() or 0)}


def test_what_is_kept_for_a_reader_says_something() -> None:
    assert stated("  the wrong Ada ", "reason") == "the wrong Ada"
    with pytest.raises(Refused, match="--matter") as refused:
        stated(" \t", "matter")
    assert (refused.value.cause, refused.value.field) == ("no_matter", "matter")


def test_a_closure_record_that_is_not_proven_says_so_at_once() -> None:
    system = {
        "system": "entra",
        "connector": "msgraph",
        "kept_for_another": False,
        "sign_in_blocked_at": None,
        "removed": [{"entitlement": "group g-1", "revoked_at": "2026-09-30T14:00:02+02:00"}],
        "left": [{"entitlement": "licence sku-1", "why": "a legal hold stands"}],
        "residual": {"statement": "tokens live on for an hour"},
    }
    record = {
        "vms_id": "WO-1",
        "end_at": "2026-09-30T12:00:00Z",
        "trigger": {"number": 1, "cause": "terminated", "reason": "case 17", "began_by": "ada"},
        "exposure": {"revoked_at": None, "seconds": 20000.4, "business_hours": 5.5, "state": "breached_open"},
        "systems": [system],
        "records": [],
        "holds": [],
        "evidence": [],
    }
    told = "\n".join(closure_lines(record))
    assert "2026-09-30 12:00:00  terminated, by ada: case 17" in told
    assert "NOT YET:  20000 s after the end, 5.50 business hours, THE TIME ALLOWED IS OVER" in told
    assert "NOT PROVEN  blocked" not in told
    assert "sign-in     NOT PROVEN to be blocked" in told
    assert "gone        2026-09-30 12:00:02  group g-1" in told
    assert "LEFT        licence sku-1: a legal hold stands" in told
