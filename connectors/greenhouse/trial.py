"""How the Greenhouse connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.greenhouse.sandbox import GreenhouseSandbox
from connectors.suite.trial import Delivery, Description, HttpTrial, Wire


class GreenhouseTrial(HttpTrial[GreenhouseSandbox]):
    """Hires, and offers that are revised afterwards."""

    wires: Mapping[str, Wire] = {
        "source.changes": Wire("GET", r"^/v3/applications$"),
        "source.read": Wire("GET", r"^/v3/applications$"),
    }
    max_lines = 540  # a record is put together from five flat lists and three of them are read for changes, paged and resumed
    description = Description(
        "greenhouse/harvest-v3.hub-subset.openapi.json",
        # The subset leaves out application_ids and current_only of the offers list, which the vendor's whole document has.
        undescribed=(r"^/token$", r"^/v3/offers$"),
    )

    def sandbox(self) -> GreenhouseSandbox:
        """A fresh organisation."""
        return GreenhouseSandbox()

    def change_source(self, sandbox: GreenhouseSandbox, n: int) -> str:
        """Hire ``n``; once hired, revise the offer."""
        application_id = str(100_000 + n)
        if sandbox.effects.count("hire", application_id):
            sandbox.revise_offer(application_id, starts_on="2026-03-09")
            return application_id
        return sandbox.hire(n)

    def delivery(self, sandbox: GreenhouseSandbox, n: int) -> Delivery:
        """A hire, told as hire_candidate."""
        application_id = self.change_source(sandbox, n)
        headers, body = sandbox.webhook("hire_candidate", application_id)
        return Delivery(headers, body, application_id)


TRIAL = GreenhouseTrial()
