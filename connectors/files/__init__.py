"""CSV files in a folder or on an SFTP server: for systems that hand out no API (Workday, Beeline, VNDLY and the like)."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.files.client import FilesClient
from connectors.files.settings import FilesSettings
from connectors.files.sink import FilesSink
from connectors.files.source import FilesSource

CONNECTOR = Connector(
    key="files",
    title="CSV files (folder or SFTP)",
    kind=Kind.VMS,
    settings=FilesSettings,
    client=FilesClient,
    can=Capabilities(source=FilesSource, sink=FilesSink),
    evidence=Evidence(peer="asyncssh's SFTP server"),
    limits="as fresh as the last file; in full mode the two files read last have to stay readable, in the folder or in the archive",
    also=(Kind.HRIS,),
)
