"""CSV files in a folder or on an SFTP server: for whatever system exports its records and imports what is left for it."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.files.client import FilesClient
from connectors.files.schemas import FilesSchemas
from connectors.files.settings import FilesSettings
from connectors.files.sink import FilesSink
from connectors.files.source import FilesSource

CONNECTOR = Connector(
    key="files",
    title="CSV files (folder or SFTP)",
    kind=Kind.VMS,
    settings=FilesSettings,
    client=FilesClient,
    can=Capabilities(source=FilesSource, schemas=FilesSchemas, sink=FilesSink),
    evidence=Evidence(peer="asyncssh's SFTP server"),
    limits="as fresh as the last file; what is written is asked for, and done once an export shows it; absence ends after two full files",
    also=(Kind.HRIS,),
)
