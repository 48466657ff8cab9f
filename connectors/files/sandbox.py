"""A stand-in of a system that exchanges files: it exports its records as CSV and imports what is left in its outbox.

Its folders can be used as they are, or over SFTP.
"""

from __future__ import annotations

import csv
import io
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.files.settings import Layout
from connectors.protocols.sftp_server import SftpServer
from connectors.suite.sandbox import EffectLedger, Faults

_AN_HOUR_NS = 3600 * 10**9
_A_YEAR_NS = 365 * 24 * _AN_HOUR_NS
MARKER = "stint_marker"
LAYOUT = Layout(marker_column=MARKER)
COLUMNS = (
    LAYOUT.id_column, LAYOUT.status_column, LAYOUT.end_column, MARKER, LAYOUT.ended_at_column,
    "start_date", "given_name", "family_name", "email", "phone", "country", "role", "client_unit", "supplier", "supplier_id",
    "sponsor_email", "site", "time_zone", "rate_amount", "rate_currency", "rate_unit", "rate_minimum", "rate_maximum", "person_id",
    "position_id", "requisition_id", "vms_id", "work_email", "login",
)  # fmt: skip
_EXAMPLE = {
    "status": "active",
    "end_date": "2027-02-26",
    "start_date": "2026-11-23",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "email": "ada.lovelace@mail.example",
    "country": "DE",
    "role": "Data Engineer",
    "client_unit": "Analytics",
    "supplier": "Brightwater Staffing",
    "sponsor_email": "grace.hopper@acme.example",
    "site": "Berlin",
    "time_zone": "Europe/Berlin",
    "rate_amount": "95.00",
    "rate_currency": "EUR",
    "rate_unit": "hour",
}

Row = dict[str, str]


class FilesSandbox:
    """One system. ``records`` are by id; each export holds them all. Folders lie below ``folder``."""

    def __init__(self, folder: Path, *, latency_seconds: float = 0.0) -> None:
        self.folder, self.server = folder, SftpServer(latency_seconds)
        self.records: dict[str, Row] = {}
        self.effects, self.faults = EffectLedger(), Faults()
        self._lock = threading.RLock()
        self._exports = 0
        self._clock = time.time_ns() - _A_YEAR_NS
        for name in ("inbox", "archive", "outbox", "taken"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def local_settings(self) -> dict[str, Any]:
        """The settings form of an instance that uses the folders of this machine."""
        return self._form(f"{self.folder}/")

    def settings(self, host: str, port: int) -> dict[str, Any]:
        """The settings form of an instance that comes by SFTP."""
        return {
            **self._form("/"),
            **self.server.settings(host, port),
        }

    def add_record(self, **columns: str) -> str:
        """A record, exported at once; its id."""
        with self._lock:
            record_id = f"W{len(self.records) + 1:06d}"
            self.change(record_id, **{**_EXAMPLE, **columns})
            return record_id

    def change(self, record_id: str, **columns: str) -> None:
        """Set columns of a record, and export."""
        with self._lock:
            self.records[record_id] = {**self.records.get(record_id, {}), "id": record_id, **columns}
            self.export()

    def export(self) -> str:
        """Drop a file with every record; its name."""
        with self._lock:
            self._exports += 1
            name = f"export-{self._exports:06d}.csv"
            self.drop(name, _written(self.records.values()))
            return name

    def drop(self, name: str, content: bytes) -> Path:
        """Put a file into the inbox, whole at once, and dated an hour after the one before."""
        path, unfinished = self.folder / "inbox" / name, self.folder / "inbox" / f".{name}.tmp"
        unfinished.write_bytes(content)
        self._clock += _AN_HOUR_NS
        os.utime(unfinished, ns=(self._clock, self._clock))
        return unfinished.rename(path)

    def take_uploads(self) -> None:
        """Import every file in the outbox, in the order in which they came."""
        with self._lock:
            for path in sorted((self.folder / "outbox").glob("[!.]*.csv"), key=lambda path: path.stat().st_mtime_ns):
                operation = path.name.partition("-")[0]
                for row in csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")):
                    self._import(operation, row)
                path.rename(self.folder / "taken" / path.name)

    def _import(self, operation: str, row: Row) -> None:
        """A creation makes a record each time; anything else is of effect once."""
        if operation == "create":
            self.add_record(**row)
            self.effects.record("create", row[MARKER])
            return
        known = [
            one
            for one in self.records.values()
            if one["id"] == row.get("id") or (one.get(MARKER) and one[MARKER] == row.get(MARKER))
        ]
        for record in known:
            if any(record.get(column) != value for column, value in row.items() if column != LAYOUT.ended_at_column):
                self.change(record["id"], **{**row, "id": record["id"]})
                self.effects.record(operation, record["id"])

    def _form(self, root: str) -> dict[str, Any]:
        folders = {name: f"{root}{name}" for name in ("inbox", "archive", "outbox", "taken")}
        return {**folders, "settle_seconds": 0.0, "layout": {"marker_column": MARKER}}

    @contextmanager
    def serve(self) -> Iterator[tuple[str, int]]:
        """Serve the folders by SFTP on loopback; yields host and port and ends with the block. What arrives in the outbox is imported at once."""
        with self.server.serve(self.folder, self.faults, arrived=self.take_uploads) as address:
            yield address


def _written(rows: Any) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def rows_of(content: bytes) -> list[Mapping[str, str]]:
    """The rows of a file, by column."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
