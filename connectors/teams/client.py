"""The wire to a webhook of Teams' Workflows app. There is no description; facts are from the vendor's pages and named in quality.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from connectors.contract import ALONE, Surroundings
from connectors.http import Dialect, HttpEdge, Verdict, verdict_by_status
from connectors.teams.settings import TeamsSettings
from connectors.wire.budget import Budget
from workforce.errors import HubError, OutcomeUnknown, Refused
from workforce.ports import CheckResult

BUDGET = Budget(units=4, seconds=1)  # the vendor's limit for incoming webhooks
ANSWERED = frozenset({"http_400", "http_405"})


def _verdict(response: httpx.Response) -> Verdict:
    """A webhook that is gone, or whose signature is wrong, is a matter of settings."""
    verdict = verdict_by_status(response)
    return Verdict.UNAUTHENTICATED if verdict in {Verdict.NOT_FOUND, Verdict.FORBIDDEN} else verdict


class TeamsClient:
    """One webhook. Thread-safe. Every method raises only the errors of ``workforce.errors``.

    The secret part of the address is given to the connection alone, as the target of the request: whatever prints or logs a request's
    address shows the host.
    """

    def __init__(self, settings: TeamsSettings, around: Surroundings = ALONE) -> None:
        self._target: dict[str, Any] = {"target": settings.target}
        self._origin = settings.origin
        self._edge = HttpEdge(settings.origin, Dialect("teams", _verdict, budgets=(BUDGET,)), reach=around.reach(settings))

    def check(self) -> CheckResult:
        """Ask for the webhook with GET, which starts no workflow: it answers that it wants POST, or does not know the address.

        That the workflow then posts the card is only seen in Teams.
        """
        try:
            self._edge.read("GET", "/", extensions=self._target)
        except Refused as error:
            if error.cause not in ANSWERED:
                return CheckResult(ok=False, detail=str(error))
        except HubError as error:
            return CheckResult(ok=False, detail=f"{error} (webhook_url)")
        return CheckResult(ok=True, detail=f"teams: {self._origin} knows the webhook")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def post(self, message: Mapping[str, Any]) -> None:
        """Hand a message to the workflow, which is answered with 202 before it runs. Raises ``OutcomeUnknown``."""
        response = self._edge.write("POST", "/", json=dict(message), extensions=self._target)
        if "html" in response.headers.get("content-type", ""):
            raise OutcomeUnknown("teams: POST was answered with a web page", cause="unreadable_answer")
