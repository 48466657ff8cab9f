"""How the Dropbox Sign connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.dropboxsign.sandbox import TEMPLATE_ID, TEMPLATE_ROLE, DropboxSignSandbox
from connectors.suite.trial import Delivery, Description, HttpTrial, Wire
from workforce.signing import SigningParty, SigningRequest


class DropboxSignTrial(HttpTrial[DropboxSignSandbox]):
    """Requests from the sandbox's own template."""

    wires: Mapping[str, Wire] = {
        "backfill.missed": Wire("GET", r"/signature_request/list$"),
        "signing.find": Wire("GET", r"/signature_request/list$"),
        "signing.send": Wire("POST", r"/send_with_template$", "send_request"),
        "signing.status": Wire("GET", r"/signature_request/[0-9a-f]+$"),
        "signing.documents": Wire("GET", r"/files/[0-9a-f]+$"),
        "signing.void": Wire("POST", r"/cancel/[0-9a-f]+$", "cancel_request"),
    }
    description = Description("dropbox-sign/dropbox-sign.pruned.json", prefix="/v3")
    signature_covers_body = False  # it covers the event's type and second; a callback is a hint, and the request is read again
    max_lines = 630  # a query language, versions that the vendor does not give, multipart, and a net without a list of changes

    def sandbox(self) -> DropboxSignSandbox:
        """A fresh sandbox."""
        return DropboxSignSandbox()

    def agreement(self, marker: str) -> SigningRequest:
        """An agreement with one signer."""
        signer = SigningParty(TEMPLATE_ROLE, "Ada Lovelace", "ada@mail.example")
        fields = {"stint_work_order": "MSGXWO00001234"}
        return SigningRequest(marker, TEMPLATE_ID, "Agreement for MSGXWO00001234", [signer], fields)

    def sign(self, sandbox: DropboxSignSandbox, envelope_id: str) -> None:
        """Let every signer sign."""
        sandbox.complete(envelope_id)

    def delivery(self, sandbox: DropboxSignSandbox, n: int) -> Delivery:
        """The callback about a completed request."""
        request_id = sandbox.create_request(f"MSGXWO{n:08}", "Ada Lovelace", "ada@mail.example")
        callback = sandbox.complete(request_id)
        return Delivery({name.lower(): value for name, value in callback.headers.items()}, callback.body, request_id)


TRIAL = DropboxSignTrial()
