"""The benchmark's mapping as Python code: by hand from end to end, and with JMESPath for the reading.

``by_hand`` is written as a good engineer writes it for one record and no other: the fields read directly, every type checked, every
fault gathered and named by its field, patterns compiled beforehand. It takes and refuses the same values as the engine's mapping,
and gives the same. It uses nothing of the engine but the list of countries. It keeps no lineage, has no versions, explains nothing.

``ByJmespath`` reads with one compiled expression, which is JMESPath's quickest way, and checks and converts as ``by_hand`` does.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mappings.transforms import ISO_3166_ALPHA_2

Record = Mapping[str, Any]
Values = dict[str, Any]

_DAY = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3}){0,4}(?:\.[0-9]{1,9})?")
_PLAIN = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_CENTS, _FIVE_PLACES, _EIGHTH = Decimal("0.01"), Decimal("0.00001"), Decimal("0.125")
_STATUSES = frozenset({"Active", "Approved"})
_UNITS = {"Hr": "hour", "Day": "day", "Mon": "month"}
_YES_OR_NO = {"Y": True, "N": False}
_ROLES = {
    "Software Developer": "developer",
    "Data Analyst": "analyst",
    "Project Manager": "manager",
    "Designer": "designer",
    "Tester": "tester",
}


class Unusable(Exception):
    """The record cannot be mapped; the message names every field that is at fault."""


class _Checks:
    """Values taken with their type checked; what is wrong is gathered."""

    __slots__ = ("faults",)

    def __init__(self) -> None:
        self.faults: list[str] = []

    def fault(self, name: str, expected: str) -> None:
        self.faults.append(f"{name}: expected {expected}")

    def finish(self, values: Values) -> Values:
        if self.faults:
            raise Unusable("; ".join(self.faults))
        return values

    def needed(self, value: object, name: str) -> str:
        if type(value) is str and (stripped := value.strip()):
            return stripped
        self.fault(name, "a value" if value in (None, "") else "text")
        return ""

    def text(self, value: object, name: str) -> str | None:
        if type(value) is str:
            return value.strip()
        if value is not None:
            self.fault(name, "text")
        return None

    def number_text(self, value: object, name: str) -> str | None:
        if type(value) is str:
            return value
        if type(value) is int:
            return str(value)
        if value is not None:
            self.fault(name, "text or a whole number")
        return None

    def entry(self, table: Mapping[str, Any], value: object, name: str) -> Any:
        if type(value) is str and value in table:
            return table[value]
        self.fault(name, f"one of {', '.join(sorted(table))}")
        return None

    def country(self, value: object, name: str) -> str:
        code = value.strip().upper() if type(value) is str else ""
        if code not in ISO_3166_ALPHA_2:
            self.fault(name, "an ISO 3166-1 alpha-2 country code")
        return code

    def day(self, value: object, name: str) -> str:
        found = _DAY.fullmatch(value) if type(value) is str else None
        try:
            if found:
                month, day, year = found.groups()
                return date(int(year), int(month), int(day)).isoformat()
        except ValueError:
            pass
        self.fault(name, "a date (mdy)")
        return ""

    def instant(self, value: object, name: str) -> str:
        try:
            if type(value) is str and _INSTANT.fullmatch(value):
                return datetime.fromisoformat(value).astimezone(UTC).isoformat()
        except (ValueError, OverflowError):
            pass
        self.fault(name, "an instant with its offset")
        return ""

    def amount(self, value: object, name: str) -> Decimal:
        if type(value) is str and _GROUPED.fullmatch(value):
            return Decimal(value.replace(",", ""))
        self.fault(name, "a decimal number written like 1,234.5")
        return Decimal(0)

    def money(self, value: Decimal, quantum: Decimal, name: str) -> str:
        rounded = value.quantize(quantum)
        if rounded != value:
            self.fault(name, "fewer decimals")
        return f"{rounded:f}"

    def decimal_text(self, value: object, name: str) -> str | None:
        if value is None:
            return None
        if type(value) in {str, int} and _PLAIN.fullmatch(str(value)):
            return f"{Decimal(str(value)):f}"
        self.fault(name, "a decimal number")
        return None

    def whole(self, value: object, name: str) -> int | None:
        if value is None:
            return None
        if type(value) in {str, int} and _WHOLE.fullmatch(str(value)):
            return int(str(value))
        self.fault(name, "a whole number")
        return None

    def only(self, items: object, key: str, text: str, name: str) -> Record:
        found = [item for item in items if type(item) is dict and item.get(key) == text] if type(items) is list else []
        if len(found) > 1:
            self.fault(name, "one item")
        return found[0] if found else {}


def by_hand(record: Record) -> Values:
    """The mapping, field by field. Raises ``Unusable`` naming every field at fault."""
    checks = _Checks()
    status = record.get("status")
    if status not in _STATUSES:
        checks.fault("status", "an order that is active or approved")
    person = _person(_object(record.get("worker")), checks)
    terms = _terms(record, _object(record.get("assignment")), _object(record.get("rates")), checks)
    _add_listed(terms, record.get("contacts"), record.get("customFields"), checks)
    return checks.finish({"worker": person, "terms": terms, "status": str(status).lower()})


def _person(worker: Record, checks: _Checks) -> Values:
    address = _object(worker.get("address"))
    first, last = worker.get("firstName"), worker.get("lastName")
    person: Values = {
        "given_name": checks.needed(first, "worker.firstName"),
        "family_name": checks.needed(last, "worker.lastName"),
        "display_name": f"{first} {last}",
        "personal_email": checks.needed(worker.get("email"), "worker.email").lower(),
        "country": checks.country(address.get("country"), "worker.address.country"),
        "kind": "contractor",
    }
    if phone := checks.text(worker.get("phone"), "worker.phone"):
        person["phone"] = phone
    if city := checks.text(address.get("city"), "worker.address.city"):
        person["city"] = city
    if "postalCode" in address:
        person["postal_code"] = checks.number_text(address["postalCode"], "worker.address.postalCode")
    return person


def _terms(record: Record, assignment: Record, rates: Record, checks: _Checks) -> Values:
    pay, unit = checks.amount(rates.get("pay"), "rates.pay"), rates.get("unit")
    terms: Values = {
        "vms_id": checks.needed(record.get("id"), "id"),
        "role": checks.entry(_ROLES, assignment.get("jobTitle"), "assignment.jobTitle"),
        "client_unit": checks.needed(assignment.get("businessUnit"), "assignment.businessUnit"),
        "supplier": checks.needed(_object(record.get("supplier")).get("name"), "supplier.name"),
        "location": checks.needed(assignment.get("site"), "assignment.site"),
        "time_zone": assignment.get("timeZone", "Europe/London"),
        "starts_on": checks.day(assignment.get("start"), "assignment.start"),
        "ends_on": checks.day(assignment.get("end"), "assignment.end"),
        "rate": {
            "amount": checks.money(pay, _CENTS, "rates.pay"),
            "currency": checks.needed(rates.get("currency"), "rates.currency").upper(),
            "unit": checks.entry(_UNITS, unit, "rates.unit"),
        },
        "is_remote": "remote" in assignment and checks.entry(_YES_OR_NO, assignment["remote"], "assignment.remote"),
    }
    if unit == "Day":
        terms["hourly"] = {"amount": checks.money(pay * _EIGHTH, _FIVE_PLACES, "rates.pay")}
    if approved := record.get("approvedAt"):
        terms["approved_at"] = checks.instant(approved, "approvedAt")
    if "hoursPerWeek" in assignment:
        terms["hours_per_week"] = checks.decimal_text(assignment["hoursPerWeek"], "assignment.hoursPerWeek")
    return terms


def _add_listed(terms: Values, contacts: object, custom: object, checks: _Checks) -> None:
    """What stands in items of lists."""
    owner = checks.only(contacts, "role", "owner", "contacts[role=owner]")
    terms["sponsor_email"] = checks.needed(owner.get("email"), "contacts[role=owner].email")
    manager = checks.only(contacts, "role", "manager", "contacts[role=manager]")
    if "email" in manager:
        terms["manager_email"] = checks.text(manager["email"], "contacts[role=manager].email")
    cost_center = checks.only(custom, "name", "Cost Center", "customFields[name=Cost Center]")
    terms["cost_center"] = checks.needed(cost_center.get("value"), "customFields[name=Cost Center].value")
    terms["project"] = checks.only(custom, "name", "Project", "customFields[name=Project]").get("value", "none")
    clearance = checks.only(custom, "name", "Clearance", "customFields[name=Clearance]")
    if "value" in clearance:
        terms["clearance"] = checks.whole(clearance["value"], "customFields[name=Clearance].value")


def _object(value: object) -> Record:
    return value if isinstance(value, dict) else {}


_EXPRESSION = """{
    first: worker.firstName, last: worker.lastName, email: worker.email, phone: worker.phone, country: worker.address.country,
    city: worker.address.city, postal_code: worker.address.postalCode, id: id, title: assignment.jobTitle,
    business_unit: assignment.businessUnit, supplier: supplier.name, site: assignment.site, time_zone: assignment.timeZone,
    start: assignment.start, end: assignment.end, approved_at: approvedAt, pay: rates.pay, currency: rates.currency, unit: rates.unit,
    hours: assignment.hoursPerWeek, remote: assignment.remote, status: status,
    sponsors: contacts[?role=='owner'].email, managers: contacts[?role=='manager'].email,
    cost_centers: customFields[?name=='Cost Center'].value, projects: customFields[?name=='Project'].value,
    clearances: customFields[?name=='Clearance'].value
}"""


class ByJmespath:
    """The mapping with JMESPath. It cannot tell absent from null, which the benchmark's records never need."""

    def __init__(self) -> None:
        self._expression = importlib.import_module("jmespath").compile(_EXPRESSION)

    def __call__(self, record: Record) -> Values:
        """Map one record. Raises ``Unusable`` naming every field at fault."""
        found = self._expression.search(record)
        checks = _Checks()
        if found["status"] not in _STATUSES:
            checks.fault("status", "an order that is active or approved")
        person = self._person(found, checks)
        return checks.finish({"worker": person, "terms": self._terms(found, checks), "status": str(found["status"]).lower()})

    def _person(self, found: Record, checks: _Checks) -> Values:
        person: Values = {
            "given_name": checks.needed(found["first"], "worker.firstName"),
            "family_name": checks.needed(found["last"], "worker.lastName"),
            "display_name": f"{found['first']} {found['last']}",
            "personal_email": checks.needed(found["email"], "worker.email").lower(),
            "country": checks.country(found["country"], "worker.address.country"),
            "kind": "contractor",
        }
        if phone := checks.text(found["phone"], "worker.phone"):
            person["phone"] = phone
        if city := checks.text(found["city"], "worker.address.city"):
            person["city"] = city
        if found["postal_code"] is not None:
            person["postal_code"] = checks.number_text(found["postal_code"], "worker.address.postalCode")
        return person

    def _terms(self, found: Record, checks: _Checks) -> Values:
        pay = checks.amount(found["pay"], "rates.pay")
        terms: Values = {
            "vms_id": checks.needed(found["id"], "id"),
            "role": checks.entry(_ROLES, found["title"], "assignment.jobTitle"),
            "client_unit": checks.needed(found["business_unit"], "assignment.businessUnit"),
            "supplier": checks.needed(found["supplier"], "supplier.name"),
            "location": checks.needed(found["site"], "assignment.site"),
            "time_zone": found["time_zone"] or "Europe/London",
            "starts_on": checks.day(found["start"], "assignment.start"),
            "ends_on": checks.day(found["end"], "assignment.end"),
            "rate": {
                "amount": checks.money(pay, _CENTS, "rates.pay"),
                "currency": checks.needed(found["currency"], "rates.currency").upper(),
                "unit": checks.entry(_UNITS, found["unit"], "rates.unit"),
            },
            "sponsor_email": checks.needed(_first(found["sponsors"]), "contacts[role=owner].email"),
            "cost_center": checks.needed(_first(found["cost_centers"]), "Cost Center"),
            "project": _first(found["projects"]) or "none",
            "is_remote": found["remote"] is not None and checks.entry(_YES_OR_NO, found["remote"], "assignment.remote"),
        }
        if found["unit"] == "Day":
            terms["hourly"] = {"amount": checks.money(pay * _EIGHTH, _FIVE_PLACES, "rates.pay")}
        if found["approved_at"]:
            terms["approved_at"] = checks.instant(found["approved_at"], "approvedAt")
        if found["hours"] is not None:
            terms["hours_per_week"] = checks.decimal_text(found["hours"], "assignment.hoursPerWeek")
        if found["managers"]:
            terms["manager_email"] = checks.text(found["managers"][0], "contacts[role=manager].email")
        if found["clearances"]:
            terms["clearance"] = checks.whole(found["clearances"][0], "Clearance")
        return terms


def _first(found: list[Any] | None) -> object:
    return found[0] if found else None
