"""How the Fieldglass connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.fieldglass.sandbox import CREATION, REVISION, FieldglassSandbox
from connectors.suite.trial import HttpTrial, Wire

_DOWNLOAD = Wire("GET", r"/Work Order Download$")


class FieldglassTrial(HttpTrial[FieldglassSandbox]):
    """Work orders. There is no description of the vendor's named connectors."""

    wires: Mapping[str, Wire] = {
        "source.changes": _DOWNLOAD,
        "source.read": _DOWNLOAD,
        "schemas.read": _DOWNLOAD,
        "sink.find": _DOWNLOAD,
        "sink.create": Wire("POST", rf"/{CREATION}$", "create_work_order"),
        "sink.update": Wire("POST", rf"/{REVISION}$", "revise_work_order"),
        "sink.end": Wire("POST", r"/Work Order Close Upload$", "close_work_order"),
        "sink.read": _DOWNLOAD,
    }

    max_lines = 560  # the customer's own columns, parameters and connectors are settings, and its feed has no cursor of its own

    def sandbox(self) -> FieldglassSandbox:
        """A fresh sandbox."""
        return FieldglassSandbox()

    def record(self, n: int) -> Mapping[str, object]:
        """A work order, in the labels of the upload."""
        return {"Worker First Name": "Ada", "Worker Last Name": f"Lovelace {n}", "Role": "Engineer", "End Date": "2031-03-31"}

    def record_change(self) -> Mapping[str, object]:
        """An extension, with a new role."""
        return {"Role": "Architect", "End Date": "2031-06-30"}

    def change_source(self, sandbox: FieldglassSandbox, n: int) -> str:
        """A new work order, or a changed site."""
        work_order_id = f"ACMEWO9{n:07d}"
        if work_order_id not in sandbox.work_orders:
            return sandbox.add_work_order(**{"Work Order ID": work_order_id})
        sandbox.change(work_order_id, Site=f"{sandbox.work_orders[work_order_id]['Site']}*")
        return work_order_id


TRIAL = FieldglassTrial()
