"""How the files connector is tried: over SFTP, with a system that imports each upload as it arrives.

The faults of HTTP that have no like in SFTP (Retry-After, expired tokens, bodies) are left out; folders of this machine are covered by
the connector's own tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from connectors.files.sandbox import FilesSandbox
from connectors.protocols.sftp_server import FAULT_KINDS
from connectors.suite.sandbox import FaultKind
from connectors.suite.trial import Opened, Trial, Wire


class FilesTrial(Trial[FilesSandbox]):
    """Records are contractors; every change is a new full export."""

    wires: Mapping[str, Wire] = {
        "source.changes": Wire("LIST", r"/inbox$"),
        "source.read": Wire("LIST", r"/inbox$"),
        "schemas.read": Wire("LIST", r"/inbox$"),
        "sink.find": Wire("LIST", r"/inbox$"),
        "sink.create": Wire("RENAME", r"/outbox/create-", "create"),
        "sink.update": Wire("RENAME", r"/outbox/update-", "update"),
        "sink.end": Wire("RENAME", r"/outbox/end-", "end"),
        "sink.rehire": Wire("RENAME", r"/outbox/rehire-", "rehire"),
        "sink.read": Wire("LIST", r"/inbox$"),
    }
    max_lines = 620
    fault_kinds = FAULT_KINDS - {FaultKind.UNAVAILABLE_BEFORE}  # SFTP's "failure" is an answer: it was not done

    @contextmanager
    def open(self, folder: Path) -> Iterator[Opened[FilesSandbox]]:
        """Serve a fresh sandbox by SFTP."""
        sandbox = FilesSandbox(folder / "files")
        with sandbox.serve() as (host, port):
            yield Opened(sandbox, sandbox.settings(host, port))

    def record(self, n: int) -> Mapping[str, object]:
        """A contractor."""
        return {
            "given_name": "Ada",
            "family_name": f"Lovelace {n}",
            "email": f"ada{n}@acme.example",
            "role": "Engineer",
            "status": "active",
        }

    def record_change(self) -> Mapping[str, object]:
        """Another role."""
        return {"role": "Architect"}

    def change_source(self, sandbox: FilesSandbox, n: int) -> str:
        """A new record, or another site for one that is there."""
        record_id = f"W{n:06d}"
        if record_id not in sandbox.records:
            sandbox.change(record_id, status="active", end_date="2027-02-26", family_name=f"Lovelace {n}", site="Berlin")
        else:
            sandbox.change(record_id, site=f"{sandbox.records[record_id]['site']}*")
        return record_id


TRIAL = FilesTrial()
