"""How the Gusto connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.gusto.sandbox import GustoSandbox
from connectors.suite.trial import Delivery, Description, HttpTrial, Wire


class GustoTrial(HttpTrial[GustoSandbox]):
    """Contractors of one company, in the App Integrations edition. The Embedded one has contract tests of its own."""

    # the answer of /oauth/token is described as exactly one of two shapes, and every renewed token fits both
    description = Description("gusto/gusto-app-integrations.v2025-06-15.pruned.json", undescribed=(r"^/oauth/token$",))
    stand_ins = frozenset({"sandbox", "sandbox_contractors", "trial"})
    max_lines = 970
    """Two editions and two authorisations, the company's and the application's own; events, their subscriptions, and payment groups;
    ends and rehires that are dated, and that stand in each other's way."""
    wires: Mapping[str, Wire] = {
        "backfill.missed": Wire("GET", r"^/v1/events$"),
        "sink.find": Wire("GET", r"/contractors$"),
        "sink.create": Wire("POST", r"/contractors$", "create_contractor"),
        "sink.update": Wire("PUT", r"^/v1/contractors/", "update_contractor"),
        "sink.end": Wire("PUT", r"^/v1/contractors/", "end_contractor"),
        "sink.rehire": Wire("PUT", r"^/v1/contractors/", "rehire_contractor"),
        "sink.read": Wire("GET", r"^/v1/contractors/"),
    }

    def sandbox(self) -> GustoSandbox:
        """An empty company."""
        return GustoSandbox()

    def record(self, n: int) -> Mapping[str, object]:
        """A contractor."""
        paid = {"type": "Individual", "wage_type": "Hourly", "hourly_rate": "95.00", "start_date": "2026-02-01"}
        return {**paid, "first_name": "Ada", "last_name": f"Lovelace {n}", "email": f"ada.lovelace{n}@acme.example"}

    def record_change(self) -> Mapping[str, object]:
        """Another rate."""
        return {"wage_type": "Hourly", "hourly_rate": "110.00"}

    def delivery(self, sandbox: GustoSandbox, n: int) -> Delivery:
        """Somebody at the company changes a contractor."""
        uuid = f"00000000-0000-4000-8000-{n:012d}"
        headers, body = sandbox.webhook("contractor.updated", uuid)
        return Delivery(headers, body, uuid)


TRIAL = GustoTrial()
