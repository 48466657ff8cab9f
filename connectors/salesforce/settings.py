"""The settings form of a Salesforce organisation.

What an ATS or HRIS on Salesforce is made of differs in each organisation, so objects and fields are settings, in API names.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin, RsaPrivateKey

_NAME = r"[A-Za-z][A-Za-z0-9_]{0,79}"

ApiName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
FieldPath = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME}){{0,5}}$")]


class SourceObject(ConnectorSettings):
    """The object whose records are the engagements, for example a placement or an opportunity."""

    object: ApiName = Field(description="API name of the object, for example Placement__c")
    fields: tuple[FieldPath, ...] = Field(
        min_length=1, max_length=200, description="API names that a mapping sees; a related record's as Worker__r.Email"
    )
    overlap_seconds: int = Field(
        default=300,
        ge=150,
        le=3600,
        description="how far before the last poll a poll looks again, for transactions that ended late; longer than an answer may take",
    )

    @property
    def overlap(self) -> timedelta:
        """``overlap_seconds`` as a span."""
        return timedelta(seconds=self.overlap_seconds)


class SinkObject(ConnectorSettings):
    """The object that keeps the worker's record. ``marker_field`` is a text field, external id and unique, made for the hub."""

    object: ApiName = "Contact"
    marker_field: ApiName = Field(default="Stint_Marker__c", description="text field of 15 or more, external id, unique")
    email_field: ApiName = Field(default="Email", description="by which a namesake is found")
    end_date_field: ApiName = Field(default="Stint_Ends_On__c", description="date field that holds the last day")
    status_field: ApiName | None = None
    ended_status: str | None = Field(
        default=None, min_length=1, max_length=255, description="what status_field says after the end"
    )
    active_status: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="what status_field says once somebody is back after an end; without it the field is emptied then",
    )
    fields: tuple[ApiName, ...] = Field(default=(), max_length=200, description="further fields that are written and read back")

    @model_validator(mode="after")
    def _status_whole_or_not_at_all(self) -> Self:
        if (self.status_field is None) != (self.ended_status is None):
            raise PydanticCustomError("status", "give status_field and ended_status together, or neither")
        if self.active_status is not None and (self.status_field is None or self.active_status == self.ended_status):
            raise PydanticCustomError("status", "active_status needs status_field, and is another than ended_status")
        return self

    @property
    def read_back(self) -> tuple[str, ...]:
        """Every field that is read, once."""
        status = (self.status_field,) if self.status_field else ()
        return tuple(dict.fromkeys((self.marker_field, self.email_field, self.end_date_field, *status, *self.fields)))


class SalesforceSettings(ConnectorSettings):
    """One organisation, used as one integration user.

    Give either ``consumer_secret`` (client credentials), or ``username`` and ``private_key`` (JWT bearer): the username-password flow
    and the SOAP login are not used.
    """

    my_domain_url: HttpsOrigin = Field(description="for example https://acme.my.salesforce.com")
    consumer_key: str = Field(min_length=1, max_length=512)
    consumer_secret: SecretStr | None = Field(default=None, min_length=1)
    username: str | None = Field(default=None, min_length=1, max_length=255)
    private_key: RsaPrivateKey | None = Field(
        default=None, description="RSA private key (PEM) whose certificate is registered with the app"
    )
    audience: HttpsOrigin = Field(
        default="https://login.salesforce.com", description="aud of the JWT; https://test.salesforce.com for a sandbox"
    )
    api_version: Annotated[str, StringConstraints(pattern=r"^[4-9]\d\.0$")] = "59.0"
    source: SourceObject | None = None
    sink: SinkObject | None = None
    page_size: int = Field(default=2000, ge=200, le=2000, description="rows that one answer to a query may hold")
    reserved_share: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="share of the organisation's API requests in 24 hours that only revocations may use",
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        bearer = [self.username is not None, self.private_key is not None]
        if any(bearer) != all(bearer) or all(bearer) == (self.consumer_secret is not None):
            raise PydanticCustomError("credentials", "give either consumer_secret, or username and private_key together")
        return self

    @property
    def bearer(self) -> tuple[str, SecretStr]:
        """The user and the key of the JWT bearer grant, where there is no ``consumer_secret``."""
        return self.username or "", self.private_key or SecretStr("")
