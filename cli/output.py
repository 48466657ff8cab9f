"""What every command shares: the JSON switch, errors that say what to do next, and exit codes.

Exit codes: 0 done · 1 not possible now, or verified and found wrong · 2 a fault in the configuration or in the call.
A mistyped command is a fault in the call.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from textwrap import TextWrapper
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import Settings
from workforce.errors import HubError, Misconfigured

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2

SHORT_WORD = 12
"""Characters that a table never folds within a word. An instant is a date and a time; ids and names of groups are longer."""


def print_json(value: object) -> None:
    """Print ``value`` as one JSON document; instants (ISO 8601, with their offset) and ids as text."""
    sys.stdout.write(json.dumps(value, indent=2, default=_as_text) + "\n")
    sys.stdout.flush()  # a reader at the other end of a pipe may wait for it


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows under ``columns``, or the sentence ``empty``. Cells are printed as they are: a ``[case]`` is no markup."""
    console = Console()
    if not rows:
        print(empty)
        return
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    table = Table(
        title=Text(title), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for number, column in enumerate(columns):
        # What a row is about is copied into the next command. Nothing is cut off: an id without its end is of no use.
        # A short word, such as a date or a state, is read at one glance; only long ones are folded.
        shortest = max(_longest_short_word(text) for text in [column, *(row[number] for row in cells)])
        table.add_column(Text(column), no_wrap=number == 0, overflow="fold", min_width=shortest)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def print_lines(lines: Iterable[str], *, hanging: int) -> None:
    """Print lines; those that a terminal is too narrow for go on ``hanging`` characters further in. A pipe gets each line whole."""
    wrapper = TextWrapper(Console().width, subsequent_indent=" " * hanging, break_on_hyphens=False, drop_whitespace=True)
    for line in lines:
        print("\n".join(wrapper.wrap(line)) if sys.stdout.isatty() else line)


def _longest_short_word(text: str) -> int:
    return max((len(word) for word in text.split() if len(word) <= SHORT_WORD), default=1)


def short_instant(at: datetime | None) -> str:
    """An instant for a narrow column, in UTC: month, day and minute; the date alone where it is in another year than this."""
    if at is None:
        return ""
    of_this_year = at.astimezone(UTC).year == datetime.now(UTC).year
    return f"{at.astimezone(UTC):{'%m-%d %H:%M' if of_this_year else '%Y-%m-%d'}}"


def second(at: datetime | str | None) -> str:
    """An instant, or its ISO 8601 text, in UTC: ``2026-09-30 12:00:07``."""
    known = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{known.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if known else ""


def fail(message: str, code: int, *, as_json: bool = False, **details: object) -> NoReturn:
    """End the command with ``message`` on standard error (and as JSON where asked)."""
    if as_json:
        print_json({"ok": False, "error": message, **details})
    sys.stderr.write(f"stint: {message}\n")
    raise typer.Exit(code)


@contextmanager
def errors_explained(*, as_json: bool = False) -> Iterator[None]:
    """Turn the hub's errors into one line and an exit code."""
    try:
        yield
    except Misconfigured as error:
        fail(str(error), EXIT_CONFIGURATION, as_json=as_json, cause=error.cause)
    except HubError as error:
        fail(str(error), EXIT_FAILED, as_json=as_json, cause=error.cause)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def setting_faults(error: ValidationError) -> list[Mapping[str, str]]:
    """Every fault of the process's own settings, with key and the places searched."""
    places = "environment variable STINT_{}, then stint.toml in the current folder"
    return [
        {
            "file": "settings",
            "key": ".".join(str(part) for part in item["loc"]),
            "message": f"{item['msg']}; searched: {places.format('_'.join(str(part) for part in item['loc']).upper())}",
        }
        for item in error.errors(include_input=False, include_url=False)
    ]


def load_settings(*, as_json: bool = False) -> Settings:
    """The process's settings; every fault is printed at once and ends the command with code 2."""
    try:
        return Settings()
    except ValidationError as error:
        faults = setting_faults(error)
        if as_json:
            print_json({"ok": False, "faults": faults})
        for fault in faults:
            sys.stderr.write(f"stint: {fault['key']}: {fault['message']}\n")
        raise typer.Exit(EXIT_CONFIGURATION) from None
    except Misconfigured as error:
        fail(str(error), EXIT_CONFIGURATION, as_json=as_json, cause=error.cause)
