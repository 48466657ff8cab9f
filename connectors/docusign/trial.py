"""How the DocuSign connector is tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.docusign.sandbox import TEMPLATE_ID, TEMPLATE_ROLE, DocuSignSandbox
from connectors.suite.trial import Delivery, Description, HttpTrial, Wire
from workforce.signing import SigningParty, SigningRequest


class DocuSignTrial(HttpTrial[DocuSignSandbox]):
    """Envelopes from the sandbox's own template."""

    wires: Mapping[str, Wire] = {
        "backfill.missed": Wire("GET", r"/envelopes$"),
        "signing.find": Wire("GET", r"/envelopes$"),
        "signing.send": Wire("POST", r"/envelopes$", "create_envelope"),
        "signing.status": Wire("GET", r"/envelopes/[^/]+$"),
        "signing.documents": Wire("GET", r"/documents/combined$"),
        "signing.void": Wire("PUT", r"/envelopes/[^/]+$", "void_envelope"),
    }
    # Sign-in by JWT, the regional server, limits hidden in error codes, and a server-side search.
    max_lines = 740
    description = Description(
        "docusign/esignature.rest.v2.1.pruned.json",
        prefix="/restapi",
        undescribed=(r"^/oauth/",),
    )

    def sandbox(self) -> DocuSignSandbox:
        """A fresh sandbox."""
        return DocuSignSandbox()

    def agreement(self, marker: str) -> SigningRequest:
        """An agreement with one signer."""
        signer = SigningParty(TEMPLATE_ROLE, "Ada Lovelace", "ada@mail.example")
        fields = {"stint_work_order": "MSGXWO00001234"}
        return SigningRequest(marker, TEMPLATE_ID, "Agreement for MSGXWO00001234", [signer], fields)

    def sign(self, sandbox: DocuSignSandbox, envelope_id: str) -> None:
        """Let every signer sign."""
        sandbox.complete(envelope_id)

    def delivery(self, sandbox: DocuSignSandbox, n: int) -> Delivery:
        """The message about a completed envelope."""
        envelope_id = sandbox.create_envelope(f"MSGXWO{n:08}", "Ada Lovelace", "ada@mail.example")
        message = sandbox.complete(envelope_id)
        return Delivery({name.lower(): value for name, value in message.headers.items()}, message.body, envelope_id)


TRIAL = DocuSignTrial()
