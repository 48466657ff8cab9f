"""BambooHR's answers as typed records. Field names are the vendor's."""

# ruff: noqa: N815 - the field names are the vendor's

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr

from connectors.records.answers import Reading, Wire

parse = Reading("bamboohr")

T = TypeVar("T")


class _Wire(Wire):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class ListedEmployee(_Wire):
    """A line of GET /api/v1/employees. ``restricted`` names fields that are null because the API user may not see them."""

    employeeId: str
    firstName: str | None = None
    lastName: str | None = None
    workEmail: str | None = None
    restricted: frozenset[str] = Field(default=frozenset(), validation_alias="_restrictedFields")


class _PageOf(_Wire):
    nextCursor: str | None


class _Meta(_Wire):
    page: _PageOf


class EmployeePage(_Wire):
    """A page of the list, with the cursor of the next one."""

    data: tuple[ListedEmployee, ...]
    meta: _Meta


class Employee(_Wire):
    """GET /api/v1/employees/{id}: ``id`` and whatever fields were asked for and may be seen."""

    model_config = ConfigDict(extra="allow")

    id: str

    @property
    def fields(self) -> dict[str, object]:
        """The fields by the vendor's names; one that is not here may not be seen."""
        return dict(self.model_extra or {})


class StatusRow(_Wire):
    """A row of the employmentStatus table. Column names: not verified against the vendor."""

    id: str
    date: str = ""
    employmentStatus: str | None = None


class Change(_Wire):
    """What last happened to one employee. ``lastChanged`` is an ISO instant, or whatever else was told: it hides no other change."""

    action: str = "Updated"
    lastChanged: object = None


def _map_of(value: object) -> object:
    return {} if value == [] else value  # an empty map of PHP may be written as a list; not verified against the vendor


class Changes(_Wire):
    """GET /api/v1/employees/changed, by employee id."""

    employees: Annotated[dict[str, Change], BeforeValidator(_map_of)]


class ListedWebhook(_Wire):
    """A webhook of the API user, without its key."""

    id: str = ""
    url: str = ""


class WebhookList(_Wire):
    """GET /api/v1/webhooks."""

    webhooks: tuple[ListedWebhook, ...] = ()


class NewWebhook(_Wire):
    """What POST /api/v1/webhooks answers: the only place that ever shows the private key."""

    id: str
    privateKey: SecretStr = Field(min_length=1)


class MetaField(_Wire):
    """A field, or a column of a table, that the company has."""

    id: str = ""
    alias: str | None = None
    type: str = ""
    deprecated: bool = False


class ListOption(_Wire):
    """An option of a list. ``archived`` (yes, no): only older records have it."""

    name: str = ""
    archived: str = "no"


class ListedOptions(_Wire):
    """GET /api/v1/meta/lists: a field whose values come from a list. ``multiple`` (yes, no): it takes several."""

    fieldId: str = ""
    alias: str | None = None
    multiple: str = "no"
    options: tuple[ListOption, ...] = ()


class MonitorFields(_Wire):
    """GET /api/v1/webhooks/monitor_fields: the fields that a webhook may watch."""

    fields: tuple[MetaField, ...]


class MetaTable(_Wire):
    """A table that the company has."""

    alias: str | None = None
    fields: tuple[MetaField, ...] = ()
