"""The wire to Fieldglass: token, application key, and the customer's named connectors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.fieldglass.records import Row, UploadReceipt, parse, read_rows
from connectors.fieldglass.settings import FieldglassSettings
from connectors.http import Dialect, json_object
from connectors.wire.tokens import TokenCache, TokenEndpoint, basic
from workforce.errors import Misconfigured, NotFound, Refused
from workforce.ports import CheckResult

SYSTEM = "Fieldglass"
TOKEN_PATH = "/api/oauth2/v2.0/token"  # noqa: S105 - a path


class FieldglassClient:
    """One company's client. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(self, settings: FieldglassSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        reach, headers = around.reach(settings), {"X-ApplicationKey": settings.application_key.get_secret_value()}
        checked = "client_id, client_secret and application_key"
        self._sign_in = TokenEndpoint(settings.base_url, SYSTEM, reach, field="client_secret", check=checked, headers=headers)
        # RFC 6749 §4.4, with the vendor's parameters in the query
        query = {"grant_type": "client_credentials", "response_type": "token"}
        pair = basic(settings.client_id, settings.client_secret.get_secret_value())
        tokens = TokenCache(lambda: self._sign_in.grant(TOKEN_PATH, params=query, headers=pair))
        self._edge = tokens.edge(settings.base_url, Dialect(SYSTEM), reach, headers)

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
            self._require_heeded("id", all(work_order_id in row.work_order_id for row in rows))
            raise NotFound(f"{SYSTEM}: there is no work order {work_order_id}", field=self.settings.layout.id_column)
        return max(found, key=lambda row: row.modified)

    def marked(self, marker: str, parameter: str) -> list[Row]:
        """The work orders that carry ``marker``, by the download's query parameter for it."""
        rows = self._download({parameter: marker})
        self._require_heeded("marker", all(marker in (row.marker or "") for row in rows))
        return [row for row in rows if row.marker == marker]

    def upload(self, name: str, row: Mapping[str, str]) -> None:
        """Send one row to the connector ``name``. Raises ``Refused`` when it is rejected, ``OutcomeUnknown``."""
        response = self._edge.write("POST", _path(name), json={"headers": {"Type": name}, "data": [dict(row)]})
        receipt = parse.written(UploadReceipt, json_object(response, SYSTEM))
        if int(receipt.return_code) != 0:
            raise Refused(
                f"{SYSTEM}: connector {name!r} rejected the row with return code {receipt.return_code}; "
                "see the integration audit trail in Fieldglass",
                cause=f"return_code_{receipt.return_code}",
            )

    @faults_as_result
    def check(self) -> CheckResult:
        """Get a token and download one row."""
        self.changed(None, 1)
        return CheckResult(ok=True, detail=f"connector {self.settings.download_connector!r} can be read")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        self._sign_in.close()

    def _require_heeded(self, parameter: str, is_heeded: bool) -> None:
        """A part of everything, taken for the answer, would tell that a record does not exist, and have it made twice."""
        if not is_heeded:
            message = (
                f"parameters: the download does not heed the one for {parameter}; name it as the connector in Fieldglass does"
            )
            raise Misconfigured(message, cause="parameter_not_heeded", field="parameters")

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
