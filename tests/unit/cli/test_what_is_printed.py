"""What commands print: tables on narrow terminals, text that people typed, and answers to a mistyped command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.access.reconcile_commands import detail_lines
from cli.app import app
from cli.output import print_lines, print_table, short_instant

ID = "01a20307-1771-7581-afcb-00496781fd00"
GROUP = "cn=software-engineers,ou=groups,dc=client,dc=example"


def test_what_people_typed_is_printed_as_they_typed_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Holds [1]", ("matter [a]",), [("[/x] case :bug: [red]a[/red]",)], empty="")
    printed = capsys.readouterr().out
    assert "[/x] case :bug: [red]a[/red]" in printed
    assert "Holds [1]" in printed
    assert "matter [a]" in printed
    print_table("", ("matter",), [], empty="nothing of '[/x]' is held")
    assert capsys.readouterr().out == "nothing of '[/x]' is held\n"


def test_a_narrow_table_folds_long_ids_and_no_date(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [(ID, GROUP, "2026-11-22 11:32:06", "waiting")]
    print_table("Held", ("id", "what", "since (UTC)", "state"), rows, empty="")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.split()}
    assert {ID, "2026-11-22", "11:32:06", "waiting"} <= words
    parts = [word for line in lines if "─" not in line for word in line.split() if word in GROUP]
    assert "".join(parts) == GROUP


def test_a_pipe_gets_each_line_whole(capsys: pytest.CaptureFixture[str]) -> None:
    line = "  possible      " + "tokens live on " * 20
    print_lines([line], hanging=16)
    assert capsys.readouterr().out == f"{line}\n"


def test_a_terminal_gets_long_lines_below_each_other(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_lines(["  possible      tokens live on for up to an hour", "  gone          group"], hanging=16)
    assert capsys.readouterr().out.splitlines() == [
        "  possible      tokens live on for up to",
        "                an hour",
        "  gone          group",
    ]


def test_what_is_known_of_a_finding_is_told_in_words_and_in_utc() -> None:
    details = {
        "since": "2026-11-22T12:33:14.903101+01:00",
        "given_by_us": False,
        "version": "7",
        "by": "cn=admin",
        "kind": "group",
    }
    assert detail_lines(details) == [
        "its ending began: 2026-11-22 11:33:14 UTC",
        "given by us: no",
        "version of the record: 7",
        "changed by: cn=admin",
    ]


def test_an_instant_of_another_year_is_its_date() -> None:
    this_year = datetime.now(UTC).replace(month=3, day=4, hour=5, minute=6)
    assert short_instant(this_year) == "03-04 05:06"
    assert short_instant(datetime(2031, 2, 21, 5, tzinfo=UTC)) == "2031-02-21"
    assert short_instant(None) == ""


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (("engagements", "end", "WO-1", "--now"), "engagements end --help"),
        (("engagements", "extend", "WO-1", "--until", "30.6.2027", "--reason", "x"), "write it as 2027-06-30"),
        (("holds", "release", "1234", "--reason", "x"), "'1234' is no id; see: stint holds list"),
        (("reconcile", "discard", "1234", "--reason", "x"), "'1234' is no id; see: stint reconcile held"),
        (("failures", "show", "1234"), "'1234' is no id; see: stint failures list"),
        (("failures", "replay", "1234"), "'1234' is no id; see: stint failures list"),
        (("holds", "lst"), "No such command 'lst'"),
        (("holds", "list", "--all"), "No such option: --all"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_a_mistyped_command_answers_a_program_with_json_and_a_person_with_the_next_step(
    typed: tuple[str, ...], named: str
) -> None:
    answer = CliRunner().invoke(app, [*typed, "--json"])
    assert answer.exit_code == 2
    told = json.loads(answer.stdout)
    assert (told["ok"], told["cause"]) == (False, "mistyped")
    assert named in told["error"]
    assert answer.stderr == f"stint: {told['error']}\n"
    plain = CliRunner().invoke(app, list(typed))
    assert (plain.exit_code, plain.stdout) == (2, "")


def test_a_misspelt_folder_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "acmee"
    answer = CliRunner().invoke(app, ["mappings", "new", "fieldglass__engagement", str(folder), "--because", "why", "--json"])
    assert (answer.exit_code, json.loads(answer.stdout)["cause"]) == (2, "no_folder")
    assert not folder.exists()


def test_a_data_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = {"STINT_DATA_DIR": str(tmp_path / "file" / "data"), "STINT_DATABASE_URL": ""}
    answer = CliRunner().invoke(app, ["engagements", "list", "--json"], env=environment)
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["cause"]) == (2, "no_data_dir")
    assert "STINT_DATA_DIR" in told["error"]


def test_help_tells_the_exit_codes() -> None:
    told = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "0 done" in told
    assert "2 a fault in the configuration or the call" in told
