"""Dropbox Sign: agreements sent from templates; callbacks are hints, and each request is read again."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.dropboxsign.backfill import DropboxSignBackfill
from connectors.dropboxsign.client import DropboxSignClient
from connectors.dropboxsign.settings import DropboxSignSettings
from connectors.dropboxsign.signing import DropboxSignSigning
from connectors.dropboxsign.webhooks import DropboxSignCallbacks

CONNECTOR = Connector(
    key="dropboxsign",
    title="Dropbox Sign",
    kind=Kind.ESIGN,
    settings=DropboxSignSettings,
    client=DropboxSignClient,
    can=Capabilities(webhooks=DropboxSignCallbacks, backfill=DropboxSignBackfill, signing=DropboxSignSigning),
    evidence=Evidence(description="Dropbox Sign API v3, 2025-09"),
    limits="100 calls in 60 s; requests are sent from templates without merge fields; signers are not told why one is canceled",
)
