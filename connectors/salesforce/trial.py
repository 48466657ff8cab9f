"""How the Salesforce connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.salesforce.sandbox import SINK, SalesforceSandbox
from connectors.suite.trial import HttpTrial, Wire


class SalesforceTrial(HttpTrial[SalesforceSandbox]):
    """Placements as the source, contacts as the sink. There is no description to hold the wire against."""

    wires: Mapping[str, Wire] = {
        "source.changes": Wire("GET", r"/queryAll/$"),
        "source.read": Wire("GET", r"/queryAll/$"),
        "schemas.read": Wire("GET", r"/sobjects/Placement__c/describe$"),
        "sink.find": Wire("GET", r"/query/$"),
        "sink.create": Wire("PATCH", r"/sobjects/Contact/Stint_Marker__c/", "create_record"),
        "sink.update": Wire("PATCH", r"/sobjects/Contact/003\w+$", "update_record"),
        "sink.end": Wire("PATCH", r"/sobjects/Contact/003\w+$", "update_record"),
        "sink.rehire": Wire("PATCH", r"/sobjects/Contact/003\w+$", "update_record"),
        "sink.read": Wire("GET", r"/sobjects/Contact/003\w+$"),
    }

    max_lines = 860
    """Objects and fields are the organisation's own, so they are settings that ``check`` compares; source and sink; two kinds of
    credentials; and refusals that mean one thing for a record and another for the settings."""

    def sandbox(self) -> SalesforceSandbox:
        """A fresh organisation."""
        return SalesforceSandbox()

    def record(self, n: int) -> Mapping[str, object]:
        """A contact."""
        return {"FirstName": "Ada", "LastName": f"Lovelace {n}", "Email": f"ada.lovelace{n}@acme.example", "Title": "Engineer"}

    def record_change(self) -> Mapping[str, object]:
        """Another title."""
        return {"Title": "Principal engineer"}

    def shown(self, sandbox: SalesforceSandbox, external_id: str) -> Mapping[str, object]:
        """The contact with every field of it; the sink reads back those that the settings name."""
        return dict(sandbox.objects[SINK].records[external_id])

    def change_source(self, sandbox: SalesforceSandbox, n: int) -> str:
        """Make placement ``n``, or move its end."""
        return sandbox.change_placement(n)


TRIAL = SalesforceTrial()
