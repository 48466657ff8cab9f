"""``stint mappings dry-run``: what a dry run found, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress

from cli.masks import MASK
from flows.mapping.rehearsal import Rehearsal, Shown


def rehearsal_rows(shown: Rehearsal, *, sensitive: bool) -> dict[str, Any]:
    """A dry run as data; sensitive values are masked unless asked for."""

    def rows(changes: list[Shown]) -> list[dict[str, Any]]:
        return [{**asdict(change), **_masked(change, sensitive=sensitive)} for change in changes]

    return {
        "mapping": shown.mapping_id,
        "version": shown.version,
        "compared_with": dict(shown.compared_with),
        "records": shown.records,
        "engagements_that_would_move": shown.would_move,
        "engagements_replayed": shown.moving,
        "engagements_that_follow": shown.engagements,
        "changes": rows(shown.changes),
        "writes": rows(shown.writes),
        "held": [asdict(each) for each in shown.held],
        "mended": shown.mended,
    }


def coverage(shown: Rehearsal) -> str:
    """What was replayed, and how much of what would move was not, in a sentence for people."""
    compared = ", ".join(f"{number} on {label}" for label, number in sorted(shown.compared_with.items())) or "nothing"
    told = f"{shown.records} records replayed, compared with {compared}; {shown.engagements} running engagements follow"
    if shown.would_move > shown.moving:
        told += (
            f"\n{shown.moving} of the {shown.would_move} running engagements that would move were replayed: give a greater --last"
        )
    return told


@contextmanager
def progress_shown(*, quiet: bool) -> Iterator[Callable[[int, int], object]]:
    """A bar on standard error that tells how many records of systems were read; none where nobody watches, or if ``quiet``."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _done, _of: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading what the systems hold", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def summary_rows(shown: Rehearsal, *, sensitive: bool) -> list[tuple[str, str, int, str]]:
    """(system, field, how many records, an example) of every field that changes or would be written, by system and field."""
    groups: dict[tuple[str, str], list[Shown]] = {}
    for change in [*shown.changes, *shown.writes]:
        groups.setdefault((change.system, change.target), []).append(change)
    return [
        (system, target, len(found), _example(found[0], sensitive=sensitive))
        for (system, target), found in sorted(groups.items())
    ]


def held_rows(shown: Rehearsal, *, each: bool) -> list[tuple[str, int, str, str, str]]:
    """(system, how many records, whether they are set aside today, one of them, why), by reason unless ``each`` is asked for."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for held in shown.held:
        when = "new" if held.is_new else "already today"
        groups.setdefault((held.system, when, held.message, held.subject if each else ""), []).append(held.subject)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [(system, len(found), when, found[0], message) for (system, when, message, _), found in ordered]


def _masked(change: Shown, *, sensitive: bool) -> dict[str, Any]:
    if sensitive or not change.sensitive:
        return {}
    return {name: None if getattr(change, name) is None else MASK for name in ("before", "after")}


def _example(change: Shown, *, sensitive: bool) -> str:
    shown = {"before": change.before, "after": change.after, **_masked(change, sensitive=sensitive)}
    before, after = ("nothing" if value is None else str(value) for value in (shown["before"], shown["after"]))
    return f"{change.subject}: {before} → {after}"
