"""Access packages: found by role, and complete or not accepted at all."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from provisioning.packages import AccessCatalogue, AccessPackage
from workforce.access import Entitlement
from workforce.errors import Refused


def a_package(**difference: Any) -> AccessPackage:
    document = {
        "package": "software-engineer",
        "version": 3,
        "because": "Engineers work in the code.",
        "role": "Software Engineer",
        "directories": {"ldap": {"groups": ["cn=staff", "cn=engineers"]}},
    }
    return AccessPackage.model_validate({**document, **difference})


@pytest.mark.parametrize("role", ["Software Engineer", "software engineer", "  SOFTWARE ENGINEER "])
def test_case_and_space_around_a_role_do_not_matter(role: str) -> None:
    assert AccessCatalogue.of([a_package()]).for_role(role).version == 3


def test_an_unknown_role_names_the_roles_that_exist() -> None:
    catalogue = AccessCatalogue.of([a_package(), a_package(role="Designer")])
    with pytest.raises(Refused, match="roles with a package: Designer, Software Engineer") as raised:
        catalogue.for_role("Pilot")
    assert (raised.value.cause, raised.value.field) == ("unknown_role", "role")


def test_a_catalogue_without_packages_says_so() -> None:
    with pytest.raises(Refused, match="roles with a package: none"):
        AccessCatalogue.of([]).for_role("Pilot")


def test_a_package_gives_its_groups_in_the_directory_it_names_and_nothing_elsewhere() -> None:
    package = a_package()
    assert package.entitlement("ldap") == Entitlement("ldap", frozenset({"cn=staff", "cn=engineers"}))
    assert package.entitlement("entra") == Entitlement("entra", frozenset())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("directories", {}),
        ("directories", {"ldap": {"groups": []}}),
        ("directories", {"ldap": {"groups": ["cn=staff"], "licences": ["E5"]}}),
        ("because", None),
        ("surprise", 1),
    ],
)
def test_an_incomplete_package_is_not_accepted(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        a_package(**{field: value})
    assert raised.value.errors()[0]["loc"][0] == field
