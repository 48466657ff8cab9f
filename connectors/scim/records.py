"""How a mapping's attributes become a User, and which of them a mapping may set (RFC 7643)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from scim2_models import EnterpriseUser, ScimPolicy
from scim2_models import User as WholeUser

from connectors.protocols.scim_resources import CORE, ENTERPRISE, merged
from connectors.records.accounts import reserved
from workforce.errors import Refused

MARKER_PATHS = {"externalId": "externalId", "employeeNumber": f"{ENTERPRISE}:employeeNumber"}

_KEEP = ScimPolicy(unknown=ScimPolicy.Unknown.keep)
_RESERVED = frozenset({"schemas", "id", "meta", "groups", "active", "password", CORE.casefold()})
_NAME = re.compile(r"[A-Za-z$][\w$-]*|urn:[\w.:$-]+", re.IGNORECASE | re.ASCII)


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
            raise reserved("scim", name)
    for path, value in leaves(attributes):
        if path.casefold() in fixed and fixed[path.casefold()] != value:
            raise reserved("scim", path)
    _require_form(merged({}, attributes))


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
