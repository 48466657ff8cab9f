"""Deel's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import StringConstraints

from connectors.records.answers import Instant, Reading, Wire
from connectors.records.cursors import digest_of

parse = Reading("deel")

CONTRACT_ID = r"[\w\-]{1,64}"
ContractId = Annotated[str, StringConstraints(pattern=rf"^{CONTRACT_ID}$")]
CLOSED = frozenset({"completed", "cancelled", "user_cancelled", "rejected"})


class _Wire(Wire, coerce_numbers_to_str=True):
    pass


class Compensation(_Wire):
    """What a contract pays, and when. ``amount`` and ``first_payment`` are decimal numbers in strings."""

    amount: str | None = None
    scale: str | None = None
    currency_code: str | None = None
    frequency: str | None = None
    cycle_end: float | None = None
    cycle_end_type: str | None = None
    first_payment: str | None = None
    first_payment_date: str | None = None


class Identified(_Wire):
    """What has an id of the organisation's or of Deel's."""

    id: str | None = None


class Party(_Wire):
    """The organisation's side of a contract."""

    team: Identified | None = None
    legal_entity: Identified | None = None


class Person(_Wire):
    """The worker, as far as a contract shows what it was created with."""

    first_name: str | None = None
    last_name: str | None = None
    expected_email: str | None = None


class Stamped(_Wire):
    """What the source needs of a contract: no more, so that an odd one keeps none of the others from being told."""

    id: ContractId
    updated_at: Instant


class Contract(Stamped):
    """A contract: what the hub writes and reads back."""

    status: str
    external_id: str | None = None
    type: str | None = None
    title: str | None = None
    client: Party | None = None
    worker: Person | None = None
    job_title: str | None = None
    seniority: Identified | None = None
    start_date: str | None = None
    termination_date: str | None = None
    who_reports: str | None = None
    notice_period: float | None = None
    scope_of_work: str | None = None
    special_clause: str | None = None
    contract_template: Identified | None = None
    compensation_details: Compensation = Compensation()

    @property
    def starts_on(self) -> str | None:
        """The first day (ISO)."""
        return self.start_date[:10] if self.start_date else None

    @property
    def ends_on(self) -> str | None:
        """The last day (ISO), if one is set."""
        return self.termination_date[:10] if self.termination_date else None


class Listed(_Wire):
    """A row of the list: what tells whether it is worth reading."""

    id: ContractId
    status: str
    external_id: str | None = None


class Amendment(_Wire):
    """A change of rate that is asked for, signed, or past."""

    status: str
    sign_status: str
    rate: float | None = None
    scale: str | None = None
    currency_code: str | None = None


class Amendments(_Wire):
    """A page of amendments."""

    data: tuple[Amendment, ...]
    cursor: str | None = None
    has_more: bool = False


class _PageEnd(_Wire):
    cursor: str | None = None


class ContractList(_Wire):
    """A page of contracts. ``page.cursor`` is where the next begins."""

    data: tuple[dict[str, Any], ...]
    page: _PageEnd


class Fault(_Wire):
    """One entry of ``errors``. ``path`` is the field; messages quote what was sent and are not shown."""

    path: str | None = None


class Faults(_Wire):
    """The body of a refusal."""

    errors: tuple[Fault, ...] = ()


class Made(_Wire):
    """What was created."""

    id: ContractId


def digest(content: object) -> str:
    """Tells one state of one contract from every other: its first 48 bits."""
    return digest_of(content)[:12]
