"""Access packages: found by role, and complete or not accepted at all."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from provisioning.packages import AccessCatalogue, AccessPackage
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.engagement import EngagementTerms
from workforce.errors import Misconfigured, Refused


def a_package(**difference: Any) -> AccessPackage:
    document = {
        "package": "software-engineer",
        "version": 3,
        "because": "Engineers work in the code.",
        "role": "Software Engineer",
        "directories": {"ldap": {"groups": ["cn=staff", "cn=engineers"]}},
    }
    return AccessPackage.model_validate({**document, **difference})


TERMS = EngagementTerms.model_validate(
    {
        "vms_id": "WO-1",
        "role": "Software Engineer",
        "client_unit": "R&D",
        "supplier": "Acme Staffing",
        "sponsor_email": "grace@acme.example",
        "location": "Berlin",
        "time_zone": "Europe/Berlin",
        "starts_on": "2026-11-23",
        "ends_on": "2027-05-21",
        "rate": {"amount": "95.00", "currency": "EUR", "unit": "hour"},
    }
)


def terms(**difference: Any) -> EngagementTerms:
    return TERMS.model_copy(update={"role": "Software Engineer", **difference})


def chosen(*packages: AccessPackage, pins: dict[str, int] | None = None, **difference: Any) -> list[tuple[str, int]]:
    return [(each.package, each.version) for each in AccessCatalogue.of(packages).for_terms(terms(**difference), pins)]


@pytest.mark.parametrize("role", ["Software Engineer", "software engineer", "  SOFTWARE ENGINEER "])
def test_case_and_space_around_a_role_do_not_matter(role: str) -> None:
    assert chosen(a_package(), role=role) == [("software-engineer", 3)]


def test_an_unknown_role_names_the_roles_that_exist() -> None:
    with pytest.raises(Refused, match="roles with a package: Designer, Software Engineer") as raised:
        chosen(a_package(), a_package(package="designer", role="Designer"), role="Pilot")
    assert (raised.value.cause, raised.value.field) == ("unknown_role", "role")


def test_a_catalogue_without_packages_says_so() -> None:
    with pytest.raises(Refused, match="roles with a package: none"):
        chosen()


def test_a_package_for_some_units_and_places_is_for_no_others() -> None:
    narrow = a_package(package="berlin", client_units=["R&D"], locations=["Berlin", "Potsdam"])
    everywhere = a_package(package="base")
    assert chosen(narrow, everywhere, client_unit="r&d", location="potsdam") == [("base", 3), ("berlin", 3)]
    assert chosen(narrow, everywhere, client_unit="r&d", location="Rome") == [("base", 3)]
    assert chosen(narrow, everywhere, client_unit="Sales", location="Berlin") == [("base", 3)]


def test_the_newest_version_that_counts_on_the_start_day_is_taken() -> None:
    next_year = a_package(version=4, effective_from="2027-01-01")
    assert chosen(next_year, a_package(), starts_on=date(2026, 12, 31)) == [("software-engineer", 3)]
    assert chosen(next_year, a_package(), starts_on=date(2027, 1, 1)) == [("software-engineer", 4)]


def test_an_engagement_keeps_the_version_that_it_is_pinned_to() -> None:
    assert chosen(a_package(), a_package(version=4), pins={"software-engineer": 3}) == [("software-engineer", 3)]


def test_a_pinned_version_that_is_gone_takes_nothing_away_in_silence() -> None:
    with pytest.raises(Misconfigured, match="software-engineer version 2") as raised:
        chosen(a_package(), pins={"software-engineer": 2})
    assert raised.value.cause == "package_version_missing"


def test_a_package_gives_what_it_names_in_a_directory_with_the_sign_in_and_nothing_elsewhere() -> None:
    package = a_package(directories={"ldap": {"groups": ["cn=staff"], "licences": ["E5"], "app_roles": ["1/2"]}, "ad": {}})
    kinds = EntitlementKind
    assert package.entitlements("ldap") == {
        SIGN_IN,
        Entitlement(kinds.GROUP, "cn=staff"),
        Entitlement(kinds.LICENCE, "E5"),
        Entitlement(kinds.APP_ROLE, "1/2"),
    }
    assert package.entitlements("ad") == {SIGN_IN}
    assert package.entitlements("entra") == frozenset()


def test_a_sensitive_package_needs_somebody_who_approves_it() -> None:
    with pytest.raises(ValidationError, match="needs approvers"):
        a_package(sensitive=True)
    assert a_package(sensitive=True, approvers=["owner@acme.example"]).approvers == ("owner@acme.example",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("directories", {}),
        ("directories", {"ldap": {"groups": [""]}}),
        ("directories", {"ldap": {"groups": ["cn=staff"], "badges": ["E5"]}}),
        ("because", None),
        ("surprise", 1),
    ],
)
def test_an_incomplete_package_is_not_accepted(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        a_package(**{field: value})
    assert raised.value.errors()[0]["loc"][0] == field
