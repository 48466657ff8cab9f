"""Engagements of several people, whose names are written in several scripts, as outgoing mappings read them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

from provisioning.logins import login_candidates
from workforce.engagement import (
    Engagement,
    EngagementTerms,
    ExternalIdentities,
    Rate,
    RateBand,
    RateUnit,
    Worker,
    WorkerProfile,
)
from workforce.markers import new_marker
from workforce.outgoing import EngagementDocument
from workforce.states import EngagementState

DOMAIN = "acme.example"


def _person(given: str, family: str, country: str, phone: str | None = None) -> WorkerProfile:
    address = f"{country.lower()}@people.example"
    return WorkerProfile(given_name=given, family_name=family, personal_email=address, country=country, phone=phone)


PEOPLE: Mapping[str, WorkerProfile] = MappingProxyType(
    {
        "plain": _person("Ada", "Lovelace", "GB", "+44 20 7946 0000"),
        "Japanese": _person("花子", "山田", "JP"),
        "Vietnamese": _person("Thị Ánh", "Nguyễn", "VN", "+84 24 3825 0000"),
        "Arabic": _person("ليلى", "حداد", "AE", "+971 4 555 0100"),
        "hyphens and apostrophes": _person("Jean-Luc", "O'Brien-Müller", "DE", "0049-30-12345"),
    }
)
USUAL = Rate(amount=Decimal("95.00"), currency="USD", unit=RateUnit.HOUR)


def a_document(person: str = "plain", rate: Rate = USUAL, *, knows_all: bool = True, **terms: Any) -> EngagementDocument:
    """The engagement of one of ``PEOPLE``; unless the source ``knows_all``, what it may leave out is left out. ``terms`` override."""
    profile, marker = PEOPLE[person], new_marker()
    optional: dict[str, Any] = {"supplier_id": "SUP-0042", "rate_band": RateBand(minimum=Decimal(1), maximum=Decimal(99999))}
    agreed = EngagementTerms.model_validate(
        {
            "vms_id": f"MSGXWO{marker[2:]}",
            "role": "Data Engineer",
            "client_unit": "Example unit",
            "supplier": "Difference Staffing",
            "sponsor_email": "charles@acme.example",
            "location": "London",
            "time_zone": "Europe/London",
            "starts_on": date(2026, 11, 23),
            "ends_on": date(2039, 2, 26),
            "rate": rate,
            **(optional if knows_all else {}),
            **terms,
        }
    )
    engagement = Engagement(
        id=uuid4(),
        tenant="acme",
        worker=Worker(id=UUID(int=1), tenant="acme", marker=marker, profile=profile),
        terms=agreed,
        state=EngagementState.CLEARED,
        vms_system="fieldglass",
        epoch=1,
        end_at=datetime(2039, 2, 27, tzinfo=UTC),
        external=ExternalIdentities(person_id="P-1", position_id="POS-2", requisition_id="REQ-3")
        if knows_all
        else ExternalIdentities(),
    )
    login = next(login_candidates(profile.given_name, profile.family_name, marker))
    return EngagementDocument.of(engagement, login=f"{login}.{marker[-4:].lower()}", email_domain=DOMAIN)


def without(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The document's values with nothing in the text at the dotted ``path``."""
    changed = deepcopy(dict(values))
    *above, last = path.split(".")
    node = changed
    for name in above:
        node = node[name]
    node[last] = ""
    return changed
