"""Salesforce's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.answers import Reading

parse = Reading("salesforce")


RECORD_ID = r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?"


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Fault(_Wire):
    """One entry of an error answer."""

    error_code: str = Field(default="", alias="errorCode")
    fields: tuple[str, ...] = ()


class Saved(_Wire):
    """What a create or upsert answers."""

    id: str = Field(pattern=rf"^{RECORD_ID}$")
    success: Literal[True] = True


class DescribedField(_Wire):
    """One field as ``describe`` tells it to the integration user; one that he may not see is not told."""

    name: str
    relationship_name: str | None = Field(default=None, alias="relationshipName")
    createable: bool = False
    updateable: bool = False
    external_id: bool = Field(default=False, alias="externalId")
    unique: bool = False


class DescribedObject(_Wire):
    """An object as ``describe`` tells it."""

    queryable: bool = False
    createable: bool = False
    updateable: bool = False
    fields: tuple[DescribedField, ...] = ()


class Row(BaseModel):
    """A record of a query. ``values`` are its fields, those of related records nested, without the vendor's ``attributes``."""

    model_config = ConfigDict(frozen=True)

    id: str
    modified: datetime
    values: Mapping[str, Any]

    @property
    def version(self) -> str:
        """SystemModstamp in UTC with milliseconds, so that later versions compare greater."""
        return instant_text(self.modified)

    @property
    def digest(self) -> str:
        """Tells one state of one record from every other: two changes can share a SystemModstamp."""
        content = json.dumps(self.values, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(f"{self.id} {content}".encode()).hexdigest()[:16]


class QueryAnswer(_Wire):
    """One page of a query."""

    done: bool
    records: tuple[dict[str, Any], ...]
    next_records_url: str | None = Field(default=None, alias="nextRecordsUrl", pattern=r"^/services/data/v[\w./\-]+$")


class Identified(_Wire):
    """A record of which only the id is asked for."""

    id: str = Field(alias="Id", pattern=rf"^{RECORD_ID}$")


class _Stamp(Identified):
    modified: datetime = Field(alias="SystemModstamp")


def row(record: Mapping[str, Any]) -> Row:
    """A queried record. Raises ``RetryLater`` when it lacks what every record has."""
    stamp = parse(_Stamp, record)
    return Row(id=stamp.id, modified=_utc(stamp.modified), values=without_attributes(record))


def without_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record's fields, those of related records too, without the type and address that Salesforce adds."""
    plain = {name: value for name, value in record.items() if name != "attributes"}
    return {name: without_attributes(value) if isinstance(value, dict) else value for name, value in plain.items()}


def instant_text(moment: datetime) -> str:
    """``moment`` (UTC) with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
