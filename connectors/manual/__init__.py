"""Access that people give and take by hand: a badge office, a mainframe, a SaaS without an interface. Tickets go, evidence comes."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.manual.client import ManualClient
from connectors.manual.directory import ManualDirectory
from connectors.manual.settings import ManualSettings

CONNECTOR = Connector(
    key="manual",
    title="Tickets that people work (folder or SFTP)",
    kind=Kind.DIRECTORY,
    settings=ManualSettings,
    client=ManualClient,
    can=Capabilities(directory=ManualDirectory),
    evidence=Evidence(peer="asyncssh's SFTP server"),
    limits="as quick as the people; an account is as the evidence tells, so what nobody has proven is not done; nothing is tried at the system itself",
)
