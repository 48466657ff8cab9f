"""How the BambooHR connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.bamboohr.sandbox import BambooHrSandbox
from connectors.suite.trial import Delivery, Description, HttpTrial, Wire


class BambooHrTrial(HttpTrial[BambooHrSandbox]):
    """Employees of one company."""

    description = Description("bamboohr/bamboohr-public.pruned.json")
    # more than usual: a stint is dated rows of a table, whose repair is a module of its own; changes are counted in seconds; fields are listed
    max_lines = 830
    wires: Mapping[str, Wire] = {
        "backfill.missed": Wire("GET", r"/employees/changed$"),
        "schemas.read": Wire("GET", r"/meta/lists$"),
        "sink.find": Wire("GET", r"/employees$"),
        "sink.create": Wire("POST", r"/employees$", "create_employee"),
        "sink.update": Wire("POST", r"/employees/\d+$", "update_employee"),
        "sink.end": Wire("POST", r"/tables/employmentStatus$", "add_table_row"),
        "sink.rehire": Wire("POST", r"/tables/employmentStatus$", "add_table_row"),
        "sink.read": Wire("GET", r"/employees/\d+$"),
    }

    def sandbox(self) -> BambooHrSandbox:
        """An empty company."""
        return BambooHrSandbox()

    def record(self, n: int) -> Mapping[str, object]:
        """An employee."""
        address = f"ada.lovelace{n}@acme.example"
        return {"firstName": "Ada", "lastName": f"Lovelace {n}", "workEmail": address, "hireDate": "2026-02-01"}

    def record_change(self) -> Mapping[str, object]:
        """Another job."""
        return {"jobTitle": "Principal engineer"}

    def delivery(self, sandbox: BambooHrSandbox, n: int) -> Delivery:
        """Somebody at the company changes an employee."""
        employee_id = str(9000 + n)
        sandbox.change_by_hand(employee_id, firstName="Grace", lastName=f"Hopper {n}")
        headers, body = sandbox.webhook("employee.updated", employee_id)
        return Delivery(headers, body, employee_id)


TRIAL = BambooHrTrial()
