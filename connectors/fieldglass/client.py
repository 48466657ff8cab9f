"""The wire to Fieldglass: token, application key, and the customer's named connectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import ValidationError

from connectors.contract import ALONE, Surroundings
from connectors.fieldglass.records import Row, UploadReceipt, read_rows
from connectors.fieldglass.settings import FieldglassSettings
from connectors.fieldglass.tokens import ClientCredentials
from connectors.http import Dialect, HttpEdge, json_object
from workforce.errors import HubError, Misconfigured, NotFound, OutcomeUnknown, Refused
from workforce.ports import CheckResult

SYSTEM = "Fieldglass"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FieldglassClient:
    """One company's client. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(
        self, settings: FieldglassSettings, around: Surroundings = ALONE, *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.settings = settings
        self._tokens = ClientCredentials(settings, around, now)
        self._edge = HttpEdge(
            str(settings.base_url),
            Dialect(SYSTEM),
            authorize=self._tokens.authorize,
            renew=self._tokens.renew,
            headers={"X-ApplicationKey": settings.application_key.get_secret_value()},
            reach=around.reach(settings),
        )

    def changed(self, since: datetime | None, limit: int) -> list[Row]:
        """At most about ``limit`` work orders modified at or after ``since``, in the order of their modification."""
        query = {self.settings.parameters.limit: str(limit)}
        if since is not None:
            query[self.settings.parameters.modified_since] = since.isoformat(timespec="microseconds")
        return self._download(query)

    def work_order(self, work_order_id: str) -> Row:
        """The work order as it is now. Raises ``NotFound``."""
        rows = self._download({self.settings.parameters.id: work_order_id})
        found = [row for row in rows if row.work_order_id == work_order_id]
        if not found:
            raise NotFound(f"{SYSTEM}: there is no work order {work_order_id}", field=self.settings.layout.id_column)
        return max(found, key=lambda row: row.modified)

    def marked(self, marker: str, parameter: str) -> list[Row]:
        """The work orders that carry ``marker``, by the download's query parameter for it."""
        return [row for row in self._download({parameter: marker}) if row.marker == marker]

    def upload(self, name: str, row: Mapping[str, str]) -> None:
        """Send one row to the connector ``name``. Raises ``Refused`` when it is rejected, ``OutcomeUnknown``."""
        response = self._edge.write("POST", _path(name), json={"headers": {"Type": name}, "data": [dict(row)]})
        try:
            receipt = UploadReceipt.model_validate(json_object(response, SYSTEM))
        except ValidationError:
            raise OutcomeUnknown(f"{SYSTEM}: the upload's receipt has no ReturnCode", cause="unreadable_answer") from None
        if int(receipt.return_code) != 0:
            raise Refused(
                f"{SYSTEM}: connector {name!r} rejected the row with return code {receipt.return_code}; "
                "see the integration audit trail in Fieldglass",
                cause=f"return_code_{receipt.return_code}",
            )

    def check(self) -> CheckResult:
        """Get a token and download one row."""
        try:
            self.changed(None, 1)
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        return CheckResult(ok=True, detail=f"connector {self.settings.download_connector!r} can be read")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        self._tokens.close()

    def _download(self, query: Mapping[str, str]) -> list[Row]:
        answer = self._edge.read_object("GET", _path(self.settings.download_connector), params=dict(query))
        rows = answer.get(self.settings.rows_field)
        if not isinstance(rows, list):
            raise Misconfigured(
                f"rows_field: the download's answer holds no list {self.settings.rows_field!r}; name the field that holds its rows",
                cause="layout_drift",
                field="rows_field",
            )
        return read_rows(rows, self.settings.layout)


def _path(connector_name: str) -> str:
    return f"/api/vc/connector/{quote(connector_name, safe='')}"
