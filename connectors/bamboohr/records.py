"""BambooHR's answers as typed records. Field names are the vendor's."""

# ruff: noqa: N815 - the field names are the vendor's

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from workforce.errors import RetryLater

T = TypeVar("T")


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


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


class MetaField(_Wire):
    """A field, or a column of a table, that the company has."""

    alias: str | None = None


class MetaTable(_Wire):
    """A table that the company has."""

    alias: str | None = None
    fields: tuple[MetaField, ...] = ()


def parse(shape: type[T], payload: object) -> T:
    """``payload`` of a read as ``shape``. Raises ``RetryLater`` when it is something else: a read may be repeated."""
    try:
        return TypeAdapter(shape).validate_python(payload)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "answer"
        raise RetryLater(f"bamboohr: unexpected answer at {where}", cause="unreadable_answer") from None
