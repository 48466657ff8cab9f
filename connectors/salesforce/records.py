"""Salesforce's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from connectors.records.answers import Instant, Reading, Wire
from connectors.records.cursors import Change
from workforce.errors import NotFound

parse = Reading("salesforce")

RECORD_ID = r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?"

NextPage = Annotated[str, StringConstraints(pattern=r"^/services/data/v[\w./\-]+$")]
"""The address of a query's next page, without its host."""


class Fault(Wire):
    """One entry of an error answer."""

    error_code: str = Field(default="", alias="errorCode")
    fields: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The error code, if it is fit to be shown."""
        return self.error_code if re.fullmatch(r"[A-Z_]{1,80}", self.error_code) else ""

    @property
    def field(self) -> str | None:
        """The first field that is fit to be shown."""
        return next((name for name in self.fields if re.fullmatch(r"\w{1,80}", name)), None)


class Saved(Wire):
    """What a create or upsert answers."""

    id: str = Field(pattern=rf"^{RECORD_ID}$")
    success: Literal[True] = True


class PicklistEntry(Wire):
    """An entry of a picklist."""

    value: str
    active: bool = True


class DescribedField(Wire):
    """One field as ``describe`` tells it to the integration user; one that he may not see is not told."""

    name: str
    type: str = "string"
    length: int = 0
    nillable: bool = True
    defaulted: bool = Field(default=False, alias="defaultedOnCreate")
    restricted_picklist: bool = Field(default=False, alias="restrictedPicklist")
    picklist_values: tuple[PicklistEntry, ...] = Field(default=(), alias="picklistValues")
    reference_to: tuple[str, ...] = Field(default=(), alias="referenceTo")
    relationship_name: str | None = Field(default=None, alias="relationshipName")
    createable: bool = False
    updateable: bool = False
    external_id: bool = Field(default=False, alias="externalId")
    unique: bool = False

    @property
    def is_writable(self) -> bool:
        """Whether it can be given to a new record, and changed."""
        return self.createable and self.updateable

    @property
    def is_demanded(self) -> bool:
        """Whether a new record needs it."""
        return self.createable and not self.nillable and not self.defaulted


class DescribedObject(Wire):
    """An object as ``describe`` tells it."""

    queryable: bool = False
    createable: bool = False
    updateable: bool = False
    fields: tuple[DescribedField, ...] = ()


class QueryAnswer(Wire):
    """One page of a query."""

    done: bool
    records: tuple[dict[str, Any], ...]
    next_records_url: NextPage | None = Field(default=None, alias="nextRecordsUrl")


class Identified(Wire):
    """A record of which only the id is asked for."""

    id: str = Field(alias="Id", pattern=rf"^{RECORD_ID}$")


class _Stamp(Identified):
    modified: Instant = Field(alias="SystemModstamp")


def required_id(record_id: str) -> str:
    """A record id is put into an address or a query, so it must be one. Raises ``NotFound``."""
    if re.fullmatch(RECORD_ID, record_id) is None:
        raise NotFound("salesforce: not the form of a record id")
    return record_id


def change(record: Mapping[str, Any]) -> Change:
    """A queried record, by its SystemModstamp. Raises ``RetryLater`` when it lacks what every record has."""
    stamp = parse(_Stamp, record)
    return Change.of(stamp.id, stamp.modified, without_attributes(record))


def without_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record's fields, those of related records too, without the type and address that Salesforce adds."""
    plain = {name: value for name, value in record.items() if name != "attributes"}
    return {name: without_attributes(value) if isinstance(value, dict) else value for name, value in plain.items()}
