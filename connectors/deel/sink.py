"""Keep the engagement as a contract in Deel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.deel.client import DeelClient, number, read
from connectors.deel.records import CLOSED, Amendment, Contract
from workforce.errors import NotFound, Refused, RetryLater
from workforce.ports import StoredRecord

RATE = ("amount", "scale", "currency_code")
PAY, END = "compensation_details", "termination_date"
NUMBERS = frozenset({"amount", "cycle_end", "payment_due_days", "first_payment", "notice_period"})
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
        body = _plain(values)
        return self._client.create({**body, "external_id": marker})

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Ask for a change of rate (``amount``, ``scale``, ``currency_code`` of ``compensation_details``), or move ``termination_date``.

        What the contract says, or an amendment that is under way asks for, is not asked for again; so it is idempotent. Deel tells no other
        amendable field of an amendment, so a lost reply about one could not be recognised: those are refused (cause ``not_amendable``).
        """
        _refuse_marker(values)
        told = values.get(PAY)
        pay: Mapping[str, object] = told if isinstance(told, Mapping) else {}
        for name in (*(values.keys() - {PAY, END}), *(f"{PAY}.{name}" for name in pay.keys() - set(RATE))):
            message = f"deel: {name} cannot be changed on a contract; change it in Deel"
            raise Refused(message, cause="not_amendable", field=name)
        rate = {name: pay[name] for name in RATE if pay.get(name) is not None}
        if rate:
            self._amend(external_id, rate)
        if END in values:
            self._move_end(external_id, values[END])

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the contract as of ``ends_on``, unless it is closed or ends by then."""
        now = read(self._client.contract(external_id))
        if now.status in CLOSED or (now.ends_on is not None and now.ends_on <= ends_on):
            return
        self._set_end(now, ends_on, at_once=ended_at <= self._now() and ends_on <= self._today())

    def read(self, external_id: str) -> StoredRecord:
        """The contract as it is now. Raises ``NotFound``."""
        now = read(self._client.contract(external_id))
        days = {"start_date": now.starts_on, END: now.ends_on}
        values = {"title": now.title, "status": now.status, **days, PAY: now.compensation_details.model_dump()}
        return StoredRecord(now.id, now.external_id, now.status not in CLOSED, values, now.ends_on)

    def _amend(self, contract_id: str, rate: Mapping[str, object]) -> None:
        now = read(self._client.contract(contract_id)).compensation_details
        told = {name: number(name, value) if name == "amount" else value for name, value in rate.items()}
        wanted = {"scale": now.scale, "currency_code": now.currency_code, **told}
        held = {**now.model_dump(), "amount": number("amount", now.amount) if now.amount else None}
        if all(held[name] == value for name, value in told.items()):
            return
        if any(_asks_for(one, wanted) for one in self._client.amendments(contract_id)):
            return
        self._client.amend(contract_id, {name: value for name, value in wanted.items() if value is not None})

    def _move_end(self, contract_id: str, ends_on: object) -> None:
        now = read(self._client.contract(contract_id))
        if ends_on is None:
            self._client.cancel_termination(contract_id)
        elif now.ends_on != str(ends_on)[:10]:
            day = str(ends_on)[:10]
            self._set_end(now, day, at_once=day < self._today())

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
    """Values as Deel wants them: amounts are numbers there, and what is not known is left out."""
    known = {name: value for name, value in values.items() if value is not None}
    return {
        name: _plain(value) if isinstance(value, Mapping) else number(name, value) if name in NUMBERS else value
        for name, value in known.items()
    }
