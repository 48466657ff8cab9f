"""The settings form of Microsoft Entra ID through Microsoft Graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from connectors.contract import ConnectorSettings

PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
PUBLIC_GRAPH = "https://graph.microsoft.com"

HttpsOrigin = Annotated[
    str, Field(pattern=r"^https://[A-Za-z0-9.\-]+(:\d{1,5})?/?$"), AfterValidator(lambda url: str(url).rstrip("/"))
]


class MsGraphSettings(ConnectorSettings):
    """An app registration and the cloud it lives in.

    ``authority`` and ``graph_url`` belong together: a national cloud has its own pair (Graph's are in the vendor's description, the
    login hosts are not verified against the vendor). The token's scope follows ``graph_url``. ``protected_user_ids`` are object ids of
    accounts that automation never touches: emergency administrators.
    """

    tenant_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.\-]*$")]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Annotated[SecretStr, Field(min_length=1)]
    authority: HttpsOrigin = PUBLIC_AUTHORITY
    graph_url: HttpsOrigin = PUBLIC_GRAPH
    protected_user_ids: frozenset[str] = frozenset()
    ca_file: Path | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
