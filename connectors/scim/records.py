"""What we look at of SCIM resources, and how a mapping's attributes become one (RFC 7643).

A directory may hold anything in attributes that are none of our business, and one odd value must not make a whole page unreadable. So
``Account`` has only what we look at; the rest is kept as it came, and goes back unchanged where a resource has to be sent whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from scim2_models import (
    URN,
    AnyExtension,
    EnterpriseUser,
    Extension,
    Group,
    GroupMembership,
    Mutability,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    Uniqueness,
)
from scim2_models import User as WholeUser

from workforce.errors import Refused

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MARKER_PATHS = {"externalId": "externalId", "employeeNumber": f"{ENTERPRISE}:employeeNumber"}

_KEEP = ScimPolicy(unknown=ScimPolicy.Unknown.keep)
_RESERVED = frozenset({"schemas", "id", "meta", "groups", "active", "password", CORE.casefold()})
_NAME = re.compile(r"[A-Za-z$][\w$-]*|urn:[\w.:$-]+", re.IGNORECASE | re.ASCII)
_INSTANT = TypeAdapter(datetime)


class EmployeeNumber(Extension):
    """Of the enterprise extension (RFC 7643 §4.3), what we look at."""

    __schema__ = URN(ENTERPRISE)

    employee_number: str | None = None


class User(Resource[AnyExtension]):
    """Of a User (RFC 7643 §4.1), what we look at."""

    __schema__ = URN(CORE)

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    active: bool | None = None
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None


Account = User[EmployeeNumber]
PROVIDER = ScimProvider(
    models=[User, EmployeeNumber, Group],
    resource_types=[ResourceType.from_resource(Account), ResourceType.from_resource(Group)],
    policy=_KEEP,
)


def as_json(resource: Resource[Any]) -> dict[str, Any]:
    """The resource as JSON, with what we do not look at."""
    return resource.model_dump(scim_policy=_KEEP)


def value_at(resource: Mapping[str, Any], path: str) -> object:
    """The value at an attribute path (RFC 7644 §3.10: ``title``, ``urn:…:User:department``), or ``None``."""
    schema, _, name = path.rpartition(":")
    inside = resource.get(_key(resource, schema)) if schema else resource
    return inside.get(_key(inside, name)) if isinstance(inside, Mapping) else None


def at(path: str, value: object) -> dict[str, Any]:
    """``value`` where an attribute path has it in a resource."""
    schema, _, name = path.rpartition(":")
    return {schema: {name: value}} if schema else {name: value}


def merged(resource: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The resource with what ``change`` names set; ``None`` and ``""`` take it out."""
    result = dict(resource)
    for name, value in change.items():
        key = _key(result, name)
        if isinstance(value, Mapping):
            held = result.get(key)
            result[key] = merged(held if isinstance(held, Mapping) else {}, value)
        elif value is None or value == "":
            result.pop(key, None)
        else:
            result[key] = value
    return result


def leaves(attributes: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    """Each value by its attribute path. What is complex is taken apart, so that the parts that nobody names stay."""
    for name, value in attributes.items():
        path = f"{above}{name}"
        if not _NAME.fullmatch(name):
            raise Refused("scim: the mapping names something that is no attribute", cause="unknown_attribute", field=path)
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}:" if ":" in name else f"{path}.")
        else:
            yield path, None if value == "" else value


def require_allowed(attributes: Mapping[str, Any], ours: Mapping[str, object]) -> None:
    """Raise ``Refused`` for what only the connector may write (``ours`` may be repeated), and for what no User has or has otherwise."""
    fixed = {path.casefold(): value for path, value in ours.items()}
    for name, value in attributes.items():
        if name.casefold() in _RESERVED or (":" in name and not isinstance(value, Mapping)):
            raise _reserved(name)
    for path, value in leaves(attributes):
        if fixed.get(path.casefold(), value) != value:
            raise _reserved(path)
    _require_form(merged({}, attributes))


def instant_of(value: object) -> datetime | None:
    """A SCIM dateTime, or ``None`` for anything else."""
    try:
        moment = _INSTANT.validate_python(value) if isinstance(value, str) else None
    except ValidationError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def schemas_of(resource: Mapping[str, Any]) -> list[str]:
    """The ``schemas`` of a User: the core's, and that of each extension with a value."""
    return [CORE, *(name for name in resource if ":" in name)]


def _key(resource: Mapping[str, Any], name: str) -> str:
    """``name`` as the resource spells it: names are alike in any case (RFC 7643 §2.1)."""
    return next((key for key in resource if key.casefold() == name.casefold()), name)


def _reserved(path: str) -> Refused:
    return Refused(f"scim: the mapping must not set {path}", cause="reserved_attribute", field=path)


def _require_form(attributes: Mapping[str, Any]) -> None:
    """Hold core and enterprise attributes against their definitions; other extensions are the target's own.

    Addresses may be of names that are reserved on the Internet: ``corp.local`` is in use.
    """
    try:
        held = WholeUser[EnterpriseUser].model_validate({"schemas": [CORE], **attributes}, scim_policy=_KEEP)
    except ValidationError as error:
        faults = [".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False) if not _is_address(fault)]
        if faults:
            shown = ", ".join(faults)
            raise Refused(f"scim: not as RFC 7643 defines it: {shown}", cause="bad_attribute", field=faults[0]) from None
        return
    unknown = [name for name in held.unknown_attributes if ":" not in name]
    if unknown:
        raise Refused(f"scim: a User has no {unknown[0]} (RFC 7643 §4.1)", cause="unknown_attribute", field=unknown[0])


def _is_address(fault: Mapping[str, Any]) -> bool:
    return bool(fault["type"] == "value_error" and fault["loc"][0] == "emails" and fault["loc"][-1] == "value")
