"""DocuSign's messages as typed models, in the vendor's own field names (Swagger "esignature.rest v2.1", Connect JSON "restv2.1").

Only the fields that the hub uses are kept; whatever else an answer holds ends here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic.alias_generators import to_camel

from connectors.forms import HttpsUrl
from connectors.records.answers import Wire
from connectors.records.instants import InstantText, instant
from workforce.errors import Refused

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
NoneIsEmpty = BeforeValidator(lambda given: () if given is None else given)
ENVELOPE_ID = r"[0-9A-Za-z\-]{1,64}"
EnvelopeId = Annotated[str, StringConstraints(pattern=rf"^{ENVELOPE_ID}$")]


class _Wire(Wire, alias_generator=to_camel, populate_by_name=True):
    pass


class CustomField(_Wire):
    """A text or list custom field of an envelope."""

    field_id: str | None = None
    name: str
    value: str | None = None


class CustomFields(_Wire):
    """An envelope's custom fields."""

    text_custom_fields: tuple[CustomField, ...] | None = None
    list_custom_fields: tuple[CustomField, ...] | None = None

    def texts(self, name: str) -> list[str | None]:
        """The values of the text fields called ``name``."""
        return [field.value for field in self.text_custom_fields or () if field.name == name]


class Signer(_Wire):
    """A party that has to sign."""

    recipient_id: str | None = None
    role_name: str | None = None
    routing_order: str | None = None
    name: str | None = None
    email: str | None = None
    status: str | None = None
    sent_date_time: InstantText | None = None
    delivered_date_time: InstantText | None = None
    signed_date_time: InstantText | None = None
    declined_date_time: InstantText | None = None


class Recipients(_Wire):
    """An envelope's parties."""

    signers: tuple[Signer, ...] | None = None
    recipient_count: str | None = None


class ListedEnvelope(_Wire):
    """An envelope as lists are read: no more than is needed, so that an odd one keeps none of the others from being told."""

    envelope_id: EnvelopeId
    status: Name
    status_changed_date_time: InstantText | None = None
    last_modified_date_time: InstantText | None = None
    custom_fields: CustomFields | None = None

    @property
    def latest(self) -> datetime | None:
        """When it last changed."""
        moments = [instant(text) for text in (self.status_changed_date_time, self.last_modified_date_time) if text]
        return max(moments, default=None)


class Envelope(ListedEnvelope):
    """An envelope as ``GET /envelopes/{envelopeId}`` gives it."""

    email_subject: str | None = None
    created_date_time: InstantText | None = None
    sent_date_time: InstantText | None = None
    delivered_date_time: InstantText | None = None
    completed_date_time: InstantText | None = None
    declined_date_time: InstantText | None = None
    voided_date_time: InstantText | None = None
    voided_reason: str | None = None
    recipients: Recipients | None = None

    @property
    def version(self) -> str:
        """``latest`` in UTC and of fixed width, so that later ones compare greater. Raises ``Refused``."""
        if self.latest is None:
            raise Refused(
                "DocuSign envelope: statusChangedDateTime: missing, so its versions cannot be ordered",
                cause="invalid_record",
                field="statusChangedDateTime",
            )
        return self.latest.isoformat(timespec="microseconds")


class ConnectSubject(_Wire):
    """What a Connect message is about."""

    account_id: Name
    envelope_id: EnvelopeId
    recipient_id: str | int | None = None


class ConnectMessage(_Wire):
    """A Connect JSON message (one envelope event, delivery mode SIM)."""

    event: Name
    generated_date_time: InstantText
    data: ConnectSubject

    @property
    def delivery_id(self) -> str:
        """What stays the same when DocuSign delivers the message again, and tells apart what two parties do in one moment."""
        party = f":{self.data.recipient_id}" if self.data.recipient_id else ""
        return f"{self.data.envelope_id}:{self.event}:{self.generated_date_time}{party}"


class EnvelopesInformation(_Wire):
    """One page of envelopes."""

    envelopes: Annotated[tuple[ListedEnvelope, ...], NoneIsEmpty] = ()
    total_set_size: Annotated[int, Field(ge=0)]


class Transaction(_Wire):
    """What a transaction id names. One that DocuSign does not know may be told with its error, and without an envelope."""

    transaction_id: str | None = None
    envelope_id: str | None = None


class Transactions(_Wire):
    """The answer to a query by transaction id, which may be in either array."""

    envelopes: Annotated[tuple[Transaction, ...], NoneIsEmpty] = ()
    envelope_transaction_statuses: Annotated[tuple[Transaction, ...], NoneIsEmpty] = ()

    def ids(self, transaction_id: str) -> list[str]:
        """The envelopes that ``transaction_id`` names, whatever else the answer holds."""
        told = (*self.envelopes, *self.envelope_transaction_statuses)
        return [one.envelope_id for one in told if one.envelope_id and one.transaction_id == transaction_id]


class TemplateRole(_Wire):
    """Who signs in one role of a template."""

    role_name: str
    name: str
    email: str


class NewTextField(_Wire):
    """A text custom field to be written. Booleans are JSON strings here."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(max_length=100)]
    show: str = "false"
    required: str = "false"


class NewCustomFields(_Wire):
    """The custom fields of a new envelope."""

    text_custom_fields: tuple[NewTextField, ...]


class EnvelopeDefinition(_Wire):
    """An envelope to be sent from a template."""

    status: str = "sent"
    template_id: str
    email_subject: str
    transaction_id: str
    template_roles: tuple[TemplateRole, ...]
    custom_fields: NewCustomFields


class EnvelopeSummary(_Wire):
    """The answer to a new envelope."""

    envelope_id: EnvelopeId


class UserAccount(Wire):
    """One account of the signed-in user; ``base_uri`` is the regional server that holds it."""

    account_id: str
    base_uri: HttpsUrl


class UserInfo(Wire):
    """The answer of ``/oauth/userinfo``."""

    accounts: tuple[UserAccount, ...] = ()
