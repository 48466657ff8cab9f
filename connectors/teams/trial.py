"""How the Teams connector is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.suite.trial import HttpTrial, Wire
from connectors.teams.sandbox import TeamsSandbox


class TeamsTrial(HttpTrial[TeamsSandbox]):
    """One workflow's webhook. There is no description to hold the wire against."""

    wires: Mapping[str, Wire] = {"notifier.send": Wire("POST", r"/triggers/manual/paths/invoke$", "post_card")}
    untried: Mapping[str, str] = {
        "check.secrets": "the secret is the address as a whole: another one leads to another host; tests/contract tries another signature"
    }

    def sandbox(self) -> TeamsSandbox:
        """A workflow that has posted nothing yet."""
        return TeamsSandbox()

    def recipients(self) -> Sequence[str]:
        """Those whom the card names."""
        return ["hr@acme.example"]


TRIAL = TeamsTrial()
