"""The settings form of the Fieldglass connector.

SAP publishes no description of the named connectors: their layouts, and the parameters that a download takes, are configured for each
customer. So everything about them is a setting; the defaults are those of the sandbox and are not verified against the vendor.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin


def _fits_a_header(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not (text.isascii() and text.isprintable()) or text != text.strip():
        raise PydanticCustomError("header_text", "must be printable ASCII without spaces or line breaks around it")
    return secret


Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Layout(ConnectorSettings):
    """The report column labels of the customer's connectors. All other columns pass through to the mapping untouched."""

    id_column: Label = "Work Order ID"
    modified_column: Label = Field(
        default="Last Modified", description="ISO 8601 instant with its offset; the download is sorted by it"
    )
    status_column: Label = "Status"
    end_column: Label = Field(default="End Date", description="ISO date in download and upload")
    closed_at_column: Label = Field(default="Closed At", description="ISO 8601 instant, in the upload only")
    closed_status: Label = Field(default="Closed", description="the status that the upload sets")
    marker_column: Label | None = Field(
        default=None, description="a custom field, in uploads and in the download, that carries our marker; needed to create"
    )
    inactive_statuses: tuple[Label, ...] = Field(
        default=("Closed", "Cancelled"), description="statuses of a work order on which nobody works (any more)"
    )

    def required(self) -> tuple[str, ...]:
        """The columns without which a download cannot be used."""
        always = (self.id_column, self.modified_column, self.status_column, self.end_column)
        return always if self.marker_column is None else (*always, self.marker_column)


class Parameters(ConnectorSettings):
    """Names of the download's query parameters, as the customer's connector defines them."""

    modified_since: Label = Field(default="modifiedSince", description="earliest Last Modified, inclusive (ISO 8601, UTC)")
    limit: Label = Field(default="limit", description="greatest number of rows in one answer")
    id: Label = Field(default="workOrderId", description="exactly this work order")
    marker: Label | None = Field(
        default=None, description="exactly the work orders with this marker; without it the whole download is searched"
    )


class FieldglassSettings(ConnectorSettings):
    """One Fieldglass company, reached with one integration user's client credentials."""

    base_url: HttpsOrigin = Field(description="the company's Fieldglass host, for example https://www.fieldglass.net")
    client_id: Label
    client_secret: SecretStr = Field(min_length=1)
    application_key: Annotated[SecretStr, AfterValidator(_fits_a_header)] = Field(
        min_length=1, description="sent as X-ApplicationKey with every call"
    )
    download_connector: Label = "Work Order Download"
    closing_connector: Label = "Work Order Close Upload"
    creation_connector: Label | None = Field(default=None, description="the upload that creates; needed to create")
    revision_connector: Label | None = Field(default=None, description="the upload that changes; needed to change")
    rows_field: Label = Field(default="data", description="the field of a download's JSON answer that holds the rows")
    layout: Layout = Layout()
    parameters: Parameters = Parameters()
    page_size: int = Field(default=500, ge=1, le=10_000)
    overlap_seconds: int = Field(
        default=60, ge=0, le=3600, description="how far before the last seen change a poll looks again, for rows committed late"
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    ca_file: Path | None = Field(default=None, description="PEM file of authorities that replaces the system's trust store")

    @property
    def overlap(self) -> timedelta:
        """``overlap_seconds`` as a span."""
        return timedelta(seconds=self.overlap_seconds)
