"""What Gusto's stand-in knows of a contractor: the fields, what is refused, and how it words that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

WRITABLE = (
    *("type", "wage_type", "start_date", "hourly_rate", "email", "first_name", "last_name", "middle_initial"),
    *("file_new_hire_report", "work_state", "business_name", "ein", "is_active"),
)
_CHOICES = {"type": ("Individual", "Business"), "wage_type": ("Fixed", "Hourly")}
CHANGES = {
    (True, False): ("contractor.deactivated", "end_contractor"),
    (False, True): ("contractor.reactivated", "rehire_contractor"),
    (True, True): ("contractor.updated", "update_contractor"),
    (False, False): ("contractor.updated", "update_contractor"),
}
"""What an update makes of is_active, before and after: the event and the effect."""


def is_day(value: object) -> bool:
    """Whether it is an ISO date."""
    try:
        return bool(date.fromisoformat(str(value)))
    except ValueError:
        return False


def blank(company_uuid: str) -> dict[str, Any]:
    """A contractor of whom nothing is known but the company."""
    nothing = dict.fromkeys(("first_name", "last_name", "middle_initial", "business_name", "ein", "email", "work_state"))
    return {
        **nothing,
        "uuid": str(uuid4()),
        "company_uuid": company_uuid,
        "version": uuid4().hex,
        "is_active": True,
        "file_new_hire_report": False,
        "has_ein": False,
        "onboarded": False,
        "onboarding_status": "admin_onboarding_incomplete",
        "payment_method": "Check",
        "department": None,
        "dismissal_date": None,
        "upcoming_employment": None,
    }


def invalid(body: Mapping[str, Any]) -> Response | None:
    """The first thing wrong with a contractor, as 422."""
    individual = body.get("type") != "Business"
    required = ["type", "wage_type", "start_date", *(("first_name", "last_name") if individual else ("business_name",))]
    required += ["hourly_rate"] if body.get("wage_type") == "Hourly" else []
    required += ["email"] if body.get("self_onboarding") else []
    for name in required:
        if not body.get(name):
            return fault(422, name, "missing_parameter", f"{name} is required.")
    for name, allowed in _CHOICES.items():
        if body[name] not in allowed:
            return fault(422, name, "invalid_attribute_value", f"{body[name]} is not one of {', '.join(allowed)}.")
    return _malformed(body)


def _malformed(body: Mapping[str, Any]) -> Response | None:
    rate = body.get("hourly_rate", "0")
    if not isinstance(rate, str) or not re.fullmatch(r"\d+(\.\d+)?", rate):
        return fault(422, "hourly_rate", "invalid_attribute_value", "hourly_rate must be a number in a string.")
    if "ssn" in body and not re.fullmatch(r"[0-9]{9}", str(body["ssn"])):
        return fault(422, "ssn", "invalid_attribute_value", f"{body['ssn']} is not a valid SSN.")
    if not is_day(body["start_date"]):
        return fault(422, "start_date", "invalid_attribute_value", "start_date is not a date.")
    return None


def is_pending(contractor: Mapping[str, Any]) -> bool:
    """Dismissed as of today or later; the day of an earlier stint's dismissal stays in the record of somebody who came back."""
    return contractor["is_active"] and (contractor["dismissal_date"] or "") >= datetime.now(UTC).date().isoformat()


def pending_dismissal(contractor: Mapping[str, Any], changed: Mapping[str, Any]) -> Response | None:
    """The refusal of an end where one is scheduled, as 422."""
    if is_pending(contractor) and not changed["is_active"]:
        return fault(422, "is_active", "invalid_operation", "A dismissal is already scheduled.")
    return None


def fault(status: int, key: str, category: str, message: str) -> Response:
    """A refusal in the vendor's shape."""
    return JSONResponse({"errors": [{"error_key": key, "category": category, "message": message}]}, status_code=status)


def not_found() -> Response:
    """404 in the vendor's shape."""
    return fault(404, "request", "not_found", "The requested resource was not found.")
