from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from flows.case import CaseRef
from flows.joiner import join
from flows.leaver import leave
from flows.steps import Conductor, Step
from workforce.errors import HubError

PROCESSES = Path(__file__).parents[3] / "docs" / "processes"


class Recorder(Conductor):
    """Writes down the steps instead of running them."""

    def __init__(self) -> None:
        super().__init__(CaseRef("acme", "id", "run", 1))
        self.titles: list[str] = []

    def _run(self, step: Step, system: str) -> None:
        self.titles.append(step.title)

    def _run_each(self, step: Step, systems: Sequence[str]) -> list[tuple[str, HubError]]:
        self.titles.append(step.title)
        return []


def headings(page: str) -> list[str]:
    found = re.findall(r"^## (.+)$", (PROCESSES / page).read_text(), re.MULTILINE)
    return [title for title in found if title != "When something goes wrong"]


@pytest.mark.parametrize(
    ("page", "process"),
    [
        ("joiner.md", lambda run: join(run, sinks=["hris"], directories=lambda: ["ldap"])),
        ("leaver.md", lambda run: leave(run, records=["vms"], directories=["ldap"])),
    ],
)
def test_the_process_map_and_the_flow_have_the_same_steps_in_the_same_order(
    page: str, process: Callable[[Conductor], None]
) -> None:
    recorder = Recorder()
    process(recorder)
    assert recorder.titles == headings(page)
