"""A stand-in of the people who work tickets, with what they really gave and took as the oracle.

Its folders can be used as they are, or over SFTP. Without a delay a ticket is worked the moment it appears; with one, ``work`` has to be
called. ``Habits`` make them as people are: they refuse, they answer twice, they forget the evidence and bring it later.
"""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.manual.tickets import TAKES_AWAY, Action, Content
from connectors.protocols.desks.cases import Number
from connectors.protocols.desks.sheets import Form, read_sheet
from connectors.protocols.sftp_server import SftpServer
from connectors.suite.sandbox import EffectLedger, Faults

FOLDERS = ("tickets", "evidence", "closed", "set_aside")


@dataclass(frozen=True, slots=True)
class Habits:
    """How often, from 0 to 1, people refuse, answer a second time, or forget the evidence at first. A block is never refused."""

    refuse: float = 0.0
    answer_twice: float = 0.0
    forget_evidence: float = 0.0


@dataclass
class HeldAccount:
    """What one person really has."""

    login: str = ""
    enabled: bool = False
    expires_at: datetime | None = None
    attributes: dict[str, object] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    signed_out: int = 0


class ManualSandbox:
    """One system and its people. ``accounts`` are by marker: what was really done, whatever was answered."""

    def __init__(
        self,
        folder: Path,
        *,
        is_patient: bool = False,
        habits: Habits = Habits(),
        seed: int = 0,
        form: Form = Form.YAML,
        latency_seconds: float = 0.0,
    ) -> None:
        self.folder, self.server, self.form = folder, SftpServer(latency_seconds), form
        self.effects, self.faults = EffectLedger(), Faults()
        self.accounts: dict[str, HeldAccount] = {}
        self._is_patient, self._habits, self._chance = is_patient, habits, random.Random(seed)  # noqa: S311 - habits, no secrets
        self._lock = threading.RLock()
        self._seen: set[str] = set()
        self._to_do: deque[tuple[Number, str, dict[str, str]]] = deque()
        self._done_at: dict[Number, str] = {}
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)

    def local_settings(self) -> dict[str, Any]:
        """The settings form of an instance that uses the folders of this machine."""
        return self._form(f"{self.folder}/")

    def settings(self, host: str, port: int) -> dict[str, Any]:
        """The settings form of an instance that comes by SFTP."""
        return {**self._form("/"), **self.server.settings(host, port)}

    @contextmanager
    def serve(self) -> Iterator[tuple[str, int]]:
        """Serve the folders by SFTP on loopback; yields host and port and ends with the block."""
        with self.server.serve(self.folder, self.faults, arrived=self.look) as address:
            yield address

    def look(self) -> None:
        """See what is new in the queue; people who are not patient work it at once."""
        with self._lock:
            self._take_in()
            while self._to_do and not self._is_patient:
                self._step()

    def work(self, tickets: int = 1_000_000) -> int:
        """Do the next steps of at most so many tickets; how many were done. What is left unfinished comes again."""
        with self._lock:
            self._take_in()
            steps = min(tickets, len(self._to_do))
            for _ in range(steps):
                self._step()
            return steps

    def open_tickets(self) -> list[Number]:
        """What lies in the queue."""
        return sorted(number for path in self._queue() if (number := Number.read(path.stem)) is not None)

    def answer(self, number: Number | str, name: str = "", **fields: str) -> Path:
        """Leave an answer by hand; without ``fields`` a good one."""
        now = _now()
        told = fields or {"outcome": "done", "who": "Pat of the desk", "when": now, "evidence": "CHG-1"}
        path = self.folder / "evidence" / (name or f"{number}.json")
        unfinished = path.with_name(f".{path.name}.tmp")
        unfinished.write_text(json.dumps({"ticket": str(number), **told}), encoding="utf-8")
        return unfinished.rename(path)

    def _take_in(self) -> None:
        for path in sorted(self._queue(), key=lambda path: (path.stat().st_mtime_ns, path.name)):
            number = Number.read(path.stem)
            if number is not None and path.name not in self._seen:
                self._seen.add(path.name)
                self._to_do.append((number, self._intent(number), read_sheet(path.name, path.read_bytes())))

    def _queue(self) -> list[Path]:
        return [path for path in (self.folder / "tickets").iterdir() if not path.name.startswith(".")]

    def _intent(self, number: Number) -> str:
        habits, chance = self._habits, self._chance
        if chance.random() < habits.refuse and number.action not in TAKES_AWAY:
            return "refuse"
        return "forget" if chance.random() < habits.forget_evidence else "do"

    def _step(self) -> None:
        number, intent, fields = self._to_do.popleft()
        if intent == "refuse":
            self.answer(number, outcome="refused", who="Pat", when=_now(), reason="there is no room")
            return
        if intent == "forget":
            self._do(number, fields)
            self._done_at[number] = _now()
            self.answer(number, outcome="done", who="Pat")
            self._to_do.append((number, "prove", fields))
            return
        if intent == "do":
            self._do(number, fields)
        when = self._done_at.pop(number, _now())  # whoever proves it later says when it was so
        self.answer(number, outcome="done", who="Pat", when=when, evidence=f"CHG-{len(self.effects.entries)}")
        if self._chance.random() < self._habits.answer_twice:
            again = f"{number} again.json"
            self.answer(number, again, outcome="done", who="Sam", when=_now(), evidence=f"CHG-{len(self.effects.entries)}")

    def _do(self, number: Number, fields: Mapping[str, str]) -> None:
        account, asked = self.accounts.setdefault(number.marker, HeldAccount()), Content.read(number, fields)
        match number.action:
            case Action.CREATE:
                account.login, account.enabled, account.expires_at = asked.login, asked.enabled, asked.expires_at
            case Action.EXPIRY:
                account.expires_at = asked.expires_at
            case Action.ENABLE | Action.BLOCK:
                account.enabled = number.action == Action.ENABLE
            case Action.SIGN_OUT:
                account.signed_out += 1
            case Action.ADD:
                account.groups.add(asked.thing)
            case Action.REMOVE:
                account.groups.discard(asked.thing)
        account.attributes |= {name: text or None for name, text in asked.attributes.items()}
        self.effects.record(number.action, number.marker)

    def _form(self, root: str) -> dict[str, Any]:
        folders = {name: f"{root}{name}" for name in FOLDERS}
        return {"system": "Badge office", "settle_seconds": 0.0, "form": self.form, **folders}


def _now() -> str:
    return datetime.now(UTC).isoformat()
