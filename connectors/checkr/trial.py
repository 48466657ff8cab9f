"""How the Checkr connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.checkr.sandbox import CheckrSandbox
from connectors.suite.trial import Delivery, Description, HttpTrial, Wire
from workforce.screening import ScreeningOrder


class CheckrTrial(HttpTrial[CheckrSandbox]):
    """Orders of checks, and reports that are finished."""

    wires: Mapping[str, Wire] = {
        "backfill.missed": Wire("GET", r"^/v1/candidates$"),
        "screening.find": Wire("GET", r"^/v1/candidates$"),
        "screening.order": Wire("POST", r"^/v1/invitations$", "invite"),
        "screening.status": Wire("GET", r"^/v1/candidates/\w+$"),
    }
    description = Description("interface-only/checkr/checkr.v1.interface.json", prefix="/v1")
    max_lines = 660  # an order is two posts that are taken up again, its state four objects, and the backfill three lists

    def sandbox(self) -> CheckrSandbox:
        """A fresh account."""
        return CheckrSandbox()

    def screening(self, marker: str) -> ScreeningOrder:
        """A check of somebody of their own."""
        email = f"{marker.lower()}@home.example"
        return ScreeningOrder(marker, "Ada", "Lovelace", email, "essential_criminal", "US", region="NY", city="New York")

    def delivery(self, sandbox: CheckrSandbox, n: int) -> Delivery:
        """A report is complete."""
        candidate_id = sandbox.ordered_by_hand(f"HAND{n}")
        sandbox.finish(sandbox.fill_in(candidate_id))
        headers, body = sandbox.outbox[-1]
        return Delivery(headers, body, candidate_id)


TRIAL = CheckrTrial()
