"""Dropbox Sign's messages as typed models, in the vendor's own field names (OpenAPI description v3, 2025-09).

Only the fields that the hub uses are kept; whatever else an answer holds ends here. Instants are Unix time, whole seconds.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from connectors.records.answers import Wire

REQUEST_ID = r"[0-9A-Za-z_\-]{1,100}"
RequestId = Annotated[str, StringConstraints(pattern=rf"^{REQUEST_ID}$")]
Epoch = Annotated[int, Field(ge=0, le=253_402_300_799)]  # until the year 9999


Metadata = Annotated[dict[str, object], BeforeValidator(lambda given: given if isinstance(given, dict) else {})]
"""What people and other applications write; where it is nothing that can be read, it is not ours."""


class Signature(Wire):
    """A party that has to sign."""

    signature_id: str | None = None
    signer_name: str | None = None
    signer_email_address: str | None = None
    signer_role: str | None = None
    order: int | None = None
    status_code: str | None = None
    signed_at: Epoch | None = None
    last_viewed_at: Epoch | None = None
    last_reminded_at: Epoch | None = None


class SignatureRequest(Wire):
    """A signature request, Dropbox Sign's envelope."""

    signature_request_id: RequestId
    title: str | None = None
    subject: str | None = None
    test_mode: bool | None = None
    metadata: Metadata = Field(default_factory=dict)
    created_at: Epoch
    expires_at: Epoch | None = None
    is_complete: bool
    is_declined: bool
    has_error: bool
    template_ids: tuple[str, ...] | None = None
    signatures: tuple[Signature, ...] = ()

    @property
    def state(self) -> str:
        """Its three flags in one word: ``completed``, ``declined``, ``error`` or ``sent``."""
        told = {"completed": self.is_complete, "declined": self.is_declined, "error": self.has_error}
        return next((word for word, is_so in told.items() if is_so), "sent")

    @property
    def signed_at(self) -> int | None:
        """When somebody last signed."""
        return max((each.signed_at for each in self.signatures if each.signed_at), default=None)

    @property
    def latest(self) -> int:
        """The latest instant that it tells. Declining and failing have none."""
        told = [(each.signed_at, each.last_viewed_at, each.last_reminded_at) for each in self.signatures]
        return max([self.created_at, *(moment for moments in told for moment in moments if moment)])

    @property
    def version(self) -> str:
        """Its versions in order, though the vendor numbers and dates none: first by what cannot be taken back, then by ``latest``.

        ``latest`` alone would go back when a party that has looked at it is replaced by one that has not.
        """
        signed = sum(1 for each in self.signatures if each.signed_at)
        return f"{int(self.is_complete or self.is_declined)}.{signed:04}.{self.latest:012}"


class OneRequest(Wire):
    """The answer about one request."""

    signature_request: SignatureRequest


class NewId(Wire):
    """What has to be known of a request that was just sent."""

    signature_request_id: RequestId


class Sent(Wire):
    """The answer to a new request."""

    signature_request: NewId


class ListInfo(Wire):
    """Where a page stands. Pages are counted from 1."""

    num_pages: Annotated[int, Field(ge=0)]
    num_results: int | None = None
    page: int


class RequestList(Wire):
    """One page of requests."""

    signature_requests: tuple[SignatureRequest, ...]
    list_info: ListInfo

    @property
    def is_missing(self) -> bool:
        """Whether it is empty, though the list is said to hold something here. An empty list has one page at most."""
        info = self.list_info
        return not self.signature_requests and info.page <= info.num_pages and (info.num_pages > 1 or bool(info.num_results))

    @property
    def is_last(self) -> bool:
        """Whether no page follows."""
        return self.list_info.page >= self.list_info.num_pages


class NewSigner(Wire):
    """Who signs in one role of a template."""

    role: str
    name: str
    email_address: str


MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40)]
MetadataValue = Annotated[str, StringConstraints(max_length=1000)]


class NewRequest(Wire):
    """A request to be sent from a template."""

    template_ids: tuple[str, ...]
    subject: Annotated[str, StringConstraints(max_length=255)]
    signers: tuple[NewSigner, ...]
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=10)]
    test_mode: bool
    client_id: str | None
