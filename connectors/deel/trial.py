"""How the Deel connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.deel.sandbox import DeelSandbox, sample
from connectors.suite.trial import Delivery, Description, HttpTrial, Wire


class DeelTrial(HttpTrial[DeelSandbox]):
    """Contracts of one organisation, as source and as record."""

    wires: Mapping[str, Wire] = {
        "source.changes": Wire("GET", r"/contracts$"),
        "source.read": Wire("GET", r"/contracts/[^/]+$"),
        "sink.find": Wire("GET", r"/contracts$"),
        "sink.create": Wire("POST", r"/contracts$", "create_contract"),
        "sink.update": Wire("POST", r"/amendments$", "amend_contract"),
        "sink.end": Wire("POST", r"/terminations$", "terminate_contract"),
        "sink.read": Wire("GET", r"/contracts/[^/]+$"),
    }
    description = Description("interface-only/deel/deel-platform.rest-v2.interface.json", prefix="/rest/v2")
    max_lines = 740
    """Source, record and webhooks; the source compares because Deel tells no changes, an update because it changes little, and ends and
    amendments have wires of their own."""

    def sandbox(self) -> DeelSandbox:
        """A fresh organisation."""
        return DeelSandbox()

    def record(self, n: int) -> Mapping[str, object]:
        """A contractor's contract."""
        return sample(n)

    def record_change(self) -> Mapping[str, object]:
        """Another rate."""
        return {"compensation_details": {"amount": "110.00"}}

    def change_source(self, sandbox: DeelSandbox, n: int) -> str:
        """Make contract ``n``, sign it, or change its rate."""
        return sandbox.change_contract(n)

    def delivery(self, sandbox: DeelSandbox, n: int) -> Delivery:
        """A contract's new status."""
        contract_id = sandbox.change_contract(n)
        headers, body = sandbox.webhook("contract.status.updated", contract_id)
        return Delivery(headers, body, contract_id)


TRIAL = DeelTrial()
