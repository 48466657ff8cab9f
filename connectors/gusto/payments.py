"""Contractor payment groups of Gusto Embedded: several contractors paid on one day, once.

A group carries a ``creation_token``, of which Gusto takes each only once: it is derived from our marker, so that a lost reply is found
again and a repeated creation gives the group that exists. The vendor's pages call the token both "required to be unique" and "returned by
the preview": that a token of our own is accepted is not verified against the vendor. So a group is looked for before it is created, and
nobody is paid twice unless Gusto neither shows the first group nor minds its token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from urllib.parse import quote
from uuid import UUID, uuid5

from connectors.gusto.client import GustoClient
from connectors.gusto.records import Created, PaymentGroupRecord, PaymentRecord
from workforce.errors import AlreadyTaken, Misconfigured, Refused, RetryLater

TOKENS: Final = UUID("a4b8e9d0-6a0c-5d5e-9f0e-3c1f0a7d2b61")
AROUND: Final = timedelta(days=31)
MOVED: Final = timedelta(days=7)  # Gusto may move a check date to a later banking day
AMOUNTS: Final = ("wage", "hours", "bonus", "reimbursement")


class PaymentMethod(StrEnum):
    """How the contractor gets the money. Historical payments are only reported."""

    DIRECT_DEPOSIT = "Direct Deposit"
    CHECK = "Check"
    HISTORICAL = "Historical Payment"


@dataclass(frozen=True, slots=True)
class Payment:
    """One contractor's pay: ``wage`` where it is fixed, ``hours`` where it is hourly. Amounts are in US dollars."""

    contractor_uuid: str
    wage: Decimal | None = None
    hours: Decimal | None = None
    bonus: Decimal | None = None
    reimbursement: Decimal | None = None
    payment_method: PaymentMethod = PaymentMethod.DIRECT_DEPOSIT

    def fields(self) -> dict[str, str]:
        """As Gusto takes it."""
        given = {name: value for name in AMOUNTS if (value := getattr(self, name)) is not None}
        amounts = {name: f"{value:f}" for name, value in given.items()}
        return {"contractor_uuid": self.contractor_uuid, "payment_method": self.payment_method, **amounts}


@dataclass(frozen=True, slots=True)
class PaymentGroup:
    """Payments of one day. ``marker`` is our identity of this pay-out: another pay-out has another one."""

    marker: str
    check_date: date
    payments: Sequence[Payment]

    @property
    def creation_token(self) -> str:
        """The same for the same marker, always."""
        return str(uuid5(TOKENS, self.marker))


class PaymentGroups:
    """One company's groups. Raises ``Misconfigured`` unless ``edition`` is embedded."""

    def __init__(self, client: GustoClient) -> None:
        if client.settings.edition != "embedded":
            message = "gusto: payment groups are part of Embedded; set edition to embedded where Gusto has agreed to it"
            raise Misconfigured(message, cause="missing_capability", field="edition")
        self._client = client
        self._path = f"/v1/companies/{client.settings.company_uuid}/contractor_payment_groups"

    def create(self, group: PaymentGroup) -> str:
        """Create the group; its uuid, also of one that was created before with the same content.

        Raises ``OutcomeUnknown``: call it again once Gusto must show it if it was done. Raises ``Refused`` (cause ``other_content``) when
        the marker was used for other payments or another day.
        """
        if held := self.find(group):
            return self._same(group, held)
        fields = {
            "check_date": group.check_date.isoformat(),
            "creation_token": group.creation_token,
            "contractor_payments": [payment.fields() for payment in group.payments],
        }
        try:
            return self._client.wire.send(Created, "POST", self._path, fields).uuid
        except Refused as error:
            return self._existing(group, error)

    def find(self, group: PaymentGroup) -> str | None:
        """The uuid of the group that carries the token of ``group``, or ``None``."""
        first, last = (group.check_date - AROUND).isoformat(), (group.check_date + AROUND).isoformat()
        listed = self._client.wire.pages(self._path, list[PaymentGroupRecord], start_date=first, end_date=last)
        return next((one.uuid for one in listed if one.creation_token == group.creation_token), None)

    def read(self, uuid: str) -> PaymentGroupRecord:
        """The group as it is now, with its payments. Raises ``NotFound``."""
        return self._client.wire.read(PaymentGroupRecord, _path(uuid))

    def cancel(self, uuid: str) -> None:
        """Cancel an unfunded group with all its payments. Raises ``NotFound``, and ``Refused`` once it is funded."""
        self._client.wire.order("DELETE", _path(uuid))

    def _existing(self, group: PaymentGroup, refusal: Refused) -> str:
        """The group that has the token already. Raises ``refusal`` when that is about something else."""
        is_taken = isinstance(refusal, AlreadyTaken)
        if (is_taken or refusal.field == "creation_token") and (uuid := self.find(group)):
            return self._same(group, uuid)
        if not is_taken:
            raise refusal
        message = "gusto: the payment group exists but does not show yet, or its check_date is another; look at it in Gusto"
        raise RetryLater(message, cause="lagging") from None

    def _same(self, group: PaymentGroup, uuid: str) -> str:
        """``uuid``, once it is proven that what Gusto holds under it is ``group``."""
        held = self.read(uuid)
        days = {(group.check_date + timedelta(days=n)).isoformat() for n in range(MOVED.days + 1)}
        is_same_day = held.check_date is None or held.check_date in days
        if not is_same_day or Counter(map(_content, group.payments)) != Counter(map(_content, held.contractor_payments)):
            message = (
                f"gusto: group {uuid} was created under the same marker for other payments or another day; look at it in Gusto"
            )
            raise Refused(message, cause="other_content", field="contractor_payments") from None
        return uuid


def _content(payment: Payment | PaymentRecord) -> tuple[str, str | None, tuple[Decimal, ...]]:
    return payment.contractor_uuid, payment.payment_method, tuple(getattr(payment, name) or Decimal(0) for name in AMOUNTS)


def _path(uuid: str) -> str:
    return f"/v1/contractor_payment_groups/{quote(uuid, safe='')}"
