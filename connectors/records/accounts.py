"""What directories have in common, whatever they speak: whose accounts are ours, what a mapping may set, what changed since."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from connectors.records.schemas import target_schema
from workforce.errors import Refused, UnusableContent
from workforce.markers import is_marker

R = TypeVar("R", bound=BaseModel)

CLOCKS_DIFFER = timedelta(hours=2)
"""At most, a directory's from ours, and what its index lags behind: changes are asked for from this much earlier."""


def marker_in(value: object) -> str | None:
    """Our marker, if ``value`` is one: whatever else stands in its place is somebody else's."""
    return value if isinstance(value, str) and is_marker(value) else None


def require_marker(system: str, marker: str, *, field: str) -> None:
    """Raise ``Refused`` unless ``marker`` could be found again."""
    if not is_marker(marker):
        raise Refused(f"{system}: the marker does not have our form", cause="bad_marker", field=field)


def protected(system: str, why: str) -> Refused:
    """The refusal to touch an account."""
    return Refused(f"{system}: the account is protected: {why}; automation does not touch it", cause="protected_account")


def reserved(system: str, name: str) -> Refused:
    """The refusal of an attribute that only the connector writes."""
    return Refused(f"{system}: the mapping must not set {name}", cause="reserved_attribute", field=name)


def mapped(
    system: str, attributes: Mapping[str, object], ours: Mapping[str, object], is_usable: Callable[[str], bool]
) -> dict[str, object]:
    """The mapping's attributes without ``ours``, which it may repeat; ``""`` as ``None``. Names are alike in any case.

    Raises ``Refused`` for what it may not set: others of ``ours``, and names that are not usable.
    """
    fixed = {name.casefold(): value for name, value in ours.items()}
    for name, value in attributes.items():
        key = name.casefold()
        if not is_usable(name) or (key in fixed and fixed[key] != value):
            raise reserved(system, name)
    return {name: None if value == "" else value for name, value in attributes.items() if name.casefold() not in fixed}


def shown_attributes(key: str, held: Mapping[str, object], *, unset_is_empty: bool) -> dict[str, object]:
    """What ``held``, an account as the directory shows it, holds of the attributes that the target schema of ``key`` lets a mapping set.

    Values are as they came. Names are alike in any case, and told as the schema spells them. Where ``unset_is_empty``, the directory
    leaves out what holds nothing: that is ``None`` then, and is otherwise left out here too.
    """
    return _shown(target_schema(key) or {}, held, unset_is_empty=unset_is_empty)


def attribute_names(key: str) -> tuple[str, ...]:
    """The attributes, whole ones, that the target schema of ``key`` names as those that a mapping may set."""
    return tuple(_settable(target_schema(key) or {}))


def _settable(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The named properties of a schema, without those that it forbids."""
    return {name: inner for name, inner in schema.get("properties", {}).items() if isinstance(inner, Mapping)}


def _shown(schema: Mapping[str, Any], held: Mapping[str, object], *, unset_is_empty: bool) -> dict[str, object]:
    settable = _settable(schema)
    spelt = {name.casefold(): name for name in schema.get("properties", {})}
    shown: dict[str, object] = dict.fromkeys(settable) if unset_is_empty else {}
    for name, value in held.items():
        named = spelt.get(name.casefold())
        if named in settable:
            shown[named] = _within(settable[named], value, unset_is_empty=unset_is_empty)
        elif named is None and _allows(schema, name):
            shown[name] = value
    return shown


def _within(schema: Mapping[str, Any], value: object, *, unset_is_empty: bool) -> object:
    """What a value holds of what its schema names, if that names parts."""
    if isinstance(value, Mapping) and "properties" in schema:
        return _shown(schema, value, unset_is_empty=unset_is_empty)
    return value


def _allows(schema: Mapping[str, Any], name: str) -> bool:
    """Whether a schema allows a name that it does not tell."""
    allowed = [inner for form, inner in schema.get("patternProperties", {}).items() if re.search(form, name)]
    return (allowed or [schema.get("additionalProperties", False)])[0] is not False


def usable(system: str, kind: type[R], body: object) -> R:
    """``body`` as ``kind``. Raises ``UnusableContent`` naming the first fields at fault, without their values.

    It is no ``RetryLater``: what one account holds stays as it is, and a person looks at it while the others go on.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)[:3])
        raise UnusableContent(f"{system}: an answer has unusable fields: {fields}", field=fields) from None


def random_password() -> str:
    """A password that nobody knows: 256 random bits, with the classes of characters that quality rules ask for."""
    return f"{secrets.token_urlsafe(32)}aA1!"


class Sweep(BaseModel):
    """Where a reading of all accounts stands. ``since``: only what changed from then on; ``begun``: when this reading began.

    A connector adds the place within the list. The cursor is this as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime | None = None
    begun: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC) - CLOCKS_DIFFER)

    @classmethod
    def at(cls, cursor: str | None) -> Self:
        """That of ``cursor``; one that is none of ours begins anew."""
        try:
            return cls.model_validate_json(cursor) if cursor else cls()
        except ValidationError:
            return cls()

    def again(self) -> Self:
        """The next reading, of what changes from the beginning of this one on."""
        return type(self)(since=self.begun)
