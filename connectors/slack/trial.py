"""How the Slack connector is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.slack.sandbox import SlackSandbox
from connectors.suite.trial import Description, HttpTrial, Wire


class SlackTrial(HttpTrial[SlackSandbox]):
    """A workspace, told in person."""

    # The archived description wants the token as a parameter of these methods, which Slack itself has given up, and lacks the history;
    # tests/contract/test_slack_contract.py holds the rest of them against it.
    description = Description(
        "slack/slack-web.v2.pruned.json",
        prefix="/api",
        undescribed=(r"/auth\.test$", r"/chat\.postMessage$", r"/users\.lookupByEmail$", r"/conversations\.history$"),
    )
    wires: Mapping[str, Wire] = {"notifier.send": Wire("POST", r"/chat\.postMessage$", "post_message")}

    def sandbox(self) -> SlackSandbox:
        """A workspace with two members and a channel."""
        return SlackSandbox()

    def recipients(self) -> Sequence[str]:
        """One member, by address."""
        return ["hr@acme.example"]


TRIAL = SlackTrial()
