"""The wire to Deel's REST API v2. Source: names and types of the vendor's description; its prose was not at hand."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.deel.records import CONTRACT_ID, Amendment, Amendments, Contract, ContractList, Faults, Listed, Made, parse
from connectors.deel.settings import DeelSettings
from connectors.http import Dialect, HttpEdge, json_object
from workforce.errors import NotFound, Refused
from workforce.ports import CheckResult

MAX_PAGES = 10_000


class DeelClient:
    """One organisation. Thread-safe; connects on first use. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, settings: DeelSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        bearer = {"Authorization": f"Bearer {settings.access_token.get_secret_value()}"}
        self._edge = HttpEdge(
            settings.base_url,
            Dialect("deel", reason=_reason),
            authorize=lambda: bearer,
            headers={"X-Version": settings.api_version},
            reach=around.reach(settings),
        )

    @faults_as_result
    def check(self) -> CheckResult:
        """List one contract. Whether the token may write, only a write would tell."""
        self.contracts(None, limit=1)
        return CheckResult(ok=True, detail=f"deel: {self.settings.base_url} answers; contracts can be read")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def contracts(self, after: str | None, *, limit: int | None = None, external_id: str | None = None) -> ContractList:
        """A page of contracts, of every status."""
        asked = {
            "after_cursor": after,
            "limit": str(limit or self.settings.page_size),
            "team_id": self.settings.team_id,
            "external_id": external_id,
        }
        params = {name: value for name, value in asked.items() if value is not None}
        return parse(ContractList, self._edge.read_object("GET", "contracts", params=params))

    def carriers(self, marker: str) -> Iterator[Listed]:
        """Every listed contract whose ``external_id`` is ``marker``, whatever else the filter lets through."""
        after: str | None = None
        for _ in range(MAX_PAGES):
            page = self.contracts(after, external_id=marker)
            yield from (row for row in parse(list[Listed], list(page.data)) if row.external_id == marker)
            if not page.data or not page.page.cursor or page.page.cursor == after:
                return
            after = page.page.cursor

    def contract(self, contract_id: str) -> dict[str, Any]:
        """The contract with everything that Deel tells of it. Raises ``NotFound``."""
        answer = self._edge.read_object("GET", _path(contract_id))
        return parse(dict[str, Any], answer.get("data"))

    def create(self, fields: Mapping[str, object]) -> str:
        """Create a contract; its id. Raises ``OutcomeUnknown``."""
        response = self._edge.write("POST", "contracts", json={"data": dict(fields)})
        return parse.written(Made, json_object(response, "deel").get("data")).id

    def amendments(self, contract_id: str) -> Iterator[Amendment]:
        """Every amendment of a contract, in whatever state."""
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = {"limit": "20"} if cursor is None else {"limit": "20", "cursor": cursor}
            page = parse(Amendments, self._edge.read_object("GET", _path(contract_id, "amendments"), params=params))
            yield from page.data
            if not page.has_more or page.cursor in {None, "", cursor}:
                return
            cursor = page.cursor

    def amend(self, contract_id: str, fields: Mapping[str, object]) -> None:
        """Ask for a change of rate. Raises ``OutcomeUnknown``, also where the answer is not Deel's (a proxy's page)."""
        json_object(self._edge.write("POST", _path(contract_id, "amendments"), json={"data": dict(fields)}), "deel")

    def terminate(self, contract_id: str, fields: Mapping[str, object]) -> None:
        """Set the contract's end. Raises ``OutcomeUnknown`` as ``amend``."""
        json_object(self._edge.write("POST", _path(contract_id, "terminations"), json={"data": dict(fields)}), "deel")

    def cancel_termination(self, contract_id: str) -> None:
        """Take back an end that was set. None was set: success."""
        try:
            self._edge.write("DELETE", _path(contract_id, "terminations"))
        except NotFound:
            return


def read(contract: Mapping[str, Any]) -> Contract:
    """The part of a contract that the hub works with."""
    return parse(Contract, contract)


def _path(contract_id: str, part: str = "") -> str:
    """Deel's ids are short words; anything else is none, and stays out of an address."""
    if re.fullmatch(CONTRACT_ID, contract_id) is None:
        raise NotFound("deel: not the form of a contract id")
    return f"contracts/{quote(contract_id, safe='')}" + (f"/{part}" if part else "")


def _reason(response: httpx.Response) -> str:
    """The fields that a refusal names."""
    try:
        faults = Faults.model_validate_json(response.content).errors
    except ValidationError:
        faults = ()
    named = [fault.path for fault in faults if fault.path and re.fullmatch(r"[\w.\[\]/]{1,80}", fault.path)]
    return f"{response.reason_phrase} at {', '.join(named[:5])}" if named else response.reason_phrase


def number(name: str, value: object) -> float:
    """An amount as Deel wants it. Raises ``Refused`` naming the field."""
    try:
        amount = float(str(value))
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise Refused(f"deel: {name} must be a number; correct it and replay", cause="no_number", field=name)
    return amount
