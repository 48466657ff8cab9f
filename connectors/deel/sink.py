"""Keep the engagement as a contract in Deel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.deel.client import DeelClient, number, read
from connectors.deel.records import CLOSED, Amendment, Contract
from connectors.deel.terms import AMENDED_AS, END, NUMBERS, Names, changes, terms
from connectors.records.nulls import without_nulls
from workforce.errors import NotFound, Refused, RetryLater
from workforce.ports import StoredRecord

VOID = frozenset({"OUTDATED", "DECLINED"})


class DeelSink:
    """Contracts of one organisation. Our marker is ``external_id``, which Deel does not keep unique (as far as is known)."""

    def __init__(self, client: DeelClient, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client, self._now = client, now

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """The contracts that carry ``marker``. Deel enforces no unique key: one person may have several contracts.

        Raises ``RetryLater`` (cause ``lagging``) while one is listed and does not show yet.
        """
        del values
        try:
            return [self.read(row.id) for row in self._client.carriers(marker)]
        except NotFound:
            raise RetryLater("deel: a contract is listed and does not show yet", cause="lagging") from None

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create the contract; its id. ``values`` are the body of a contractor's contract (``title``, ``worker``, ...), nested.

        It is not sent to anybody for signature: that is a person's step in Deel. ``None`` values are left out.
        """
        _refuse_marker(values)
        return self._client.create({**_plain(without_nulls(values)), "external_id": marker})

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Ask for an amendment of what differs (``values`` as ``create`` takes them), and move ``termination_date``.

        What the contract says already is passed over, and what an amendment that is under way asks for is not asked for again. Of an
        amendment Deel tells nothing but the rate: one that asks for the same rate is taken for ours, and what still differs once it is
        signed or declined is asked for anew. Raises ``Refused`` naming what Deel cannot change (``not_amendable``) or take away
        (``cannot_be_emptied``: an end, too, can be moved only); then nothing is sent.
        """
        _refuse_marker(values)
        now = read(self._client.contract(external_id))
        changed = changes(now, values)
        amended = {names: value for names, value in changed.items() if names != (END,)}
        if amended:
            self._amend(now, amended)
        if (END,) in changed:
            ends_on = str(changed[END,])
            self._set_end(now, ends_on, at_once=ends_on < self._today())

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the contract as of ``ends_on``, unless it is closed or ends by then."""
        now = read(self._client.contract(external_id))
        if now.status in CLOSED or (now.ends_on is not None and now.ends_on <= ends_on):
            return
        self._set_end(now, ends_on, at_once=ended_at <= self._now() and ends_on <= self._today())

    def read(self, external_id: str) -> StoredRecord:
        """The contract as it is now: its ``status``, and what it shows of what it was created with. Raises ``NotFound``."""
        now = read(self._client.contract(external_id))
        return StoredRecord(now.id, now.external_id, now.status not in CLOSED, {"status": now.status, **terms(now)}, now.ends_on)

    def _amend(self, now: Contract, changed: Mapping[Names, object]) -> None:
        """The rate is told with every amendment: it is what shows that one is under way."""
        pay = now.compensation_details
        held = {
            "amount": number("amount", pay.amount) if pay.amount else None,
            "scale": pay.scale,
            "currency_code": pay.currency_code,
        }
        asked = {AMENDED_AS[names]: value for names, value in changed.items()}
        rate = {name: asked.get(name, value) for name, value in held.items()}
        if not any(_asks_for(one, rate) for one in self._client.amendments(now.id)):
            self._client.amend(now.id, {name: value for name, value in {**rate, **asked}.items() if value is not None})

    def _set_end(self, now: Contract, ends_on: str, *, at_once: bool) -> None:
        """An end that stands in the way is taken back, but only when Deel has refused: else a contract could be left without any."""
        fields = {"terminate_now": at_once, "completion_date": ends_on, "termination_type": "END_OF_CONTRACT"}
        try:
            self._client.terminate(now.id, fields)
        except Refused as error:
            if now.ends_on is None or not error.cause.startswith("http_4"):
                raise
            self._client.cancel_termination(now.id)
            self._client.terminate(now.id, fields)

    def _today(self) -> str:
        return self._now().date().isoformat()


def _asks_for(one: Amendment, wanted: Mapping[str, object]) -> bool:
    is_open = not {one.status.upper(), one.sign_status.upper()} & VOID and one.status.upper() != "ACTIVE"
    asked = {"amount": one.rate, "scale": one.scale, "currency_code": one.currency_code}
    return is_open and all(asked[name] == value for name, value in wanted.items())


def _refuse_marker(values: Mapping[str, object]) -> None:
    if "external_id" in values:
        raise Refused("deel: external_id is the hub's own; take it out of the mapping", cause="marker_field", field="external_id")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as Deel wants them: amounts are numbers there."""
    return {
        name: _plain(value) if isinstance(value, Mapping) else number(name, value) if name in NUMBERS else value
        for name, value in values.items()
    }
