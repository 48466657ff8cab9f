"""How the WorkMarket connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.suite.trial import Delivery, Description, HttpTrial, Wire
from connectors.workmarket.sandbox import WorkMarketSandbox


class WorkMarketTrial(HttpTrial[WorkMarketSandbox]):
    """Assignments with a worker, ended by rescheduling them."""

    wires: Mapping[str, Wire] = {
        "source.changes": Wire("GET", r"/assignments/list_updated$"),
        "source.read": Wire("GET", r"/assignments/get$"),
        "sink.find": Wire("GET", r"/assignments/list_updated$"),
        "sink.create": Wire("POST", r"/assignments/create$", "create_assignment"),
        "sink.update": Wire("POST", r"/edit$", "edit_assignment"),
        "sink.end": Wire("POST", r"/assignments/reschedule$", "reschedule_assignment"),
        "sink.read": Wire("GET", r"/assignments/get$"),
    }
    description = Description("interface-only/workmarket/employer-api.v1.interface.json")
    signature_covers_body = False
    max_lines = 700  # four capabilities, a list by offset that is read safely, refusals inside HTTP 200, ways to change that each take other fields

    def sandbox(self) -> WorkMarketSandbox:
        """A fresh sandbox."""
        return WorkMarketSandbox()

    def record(self, n: int) -> Mapping[str, object]:
        """An assignment that goes to one worker at once."""
        return {"title": f"Data Engineer {n}", "description": "Builds pipelines", "resource_id": [4000 + n]}

    def record_change(self) -> Mapping[str, object]:
        """Another title and other instructions."""
        return {"title": "Architect", "instructions": "Ask at the desk"}

    def change_source(self, sandbox: WorkMarketSandbox, n: int) -> str:
        """A new assignment, or another description for one that is there."""
        assignment_id = str(5000000 + n)
        if assignment_id not in sandbox.assignments:
            return sandbox.add_assignment(id=assignment_id)
        sandbox.change(assignment_id, description=f"{sandbox.assignments[assignment_id]['description']}*")
        return assignment_id

    def delivery(self, sandbox: WorkMarketSandbox, n: int) -> Delivery:
        """The webhook of an assignment that was accepted."""
        assignment_id = self.change_source(sandbox, n)
        headers, body = sandbox.webhook(assignment_id, "Accepted")
        return Delivery(headers, body, assignment_id)


TRIAL = WorkMarketTrial()
