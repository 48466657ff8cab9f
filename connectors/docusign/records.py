"""DocuSign's messages as typed models, in the vendor's own field names (Swagger "esignature.rest v2.1", Connect JSON "restv2.1").

Only the fields that the hub uses are kept; whatever else an answer holds ends here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from workforce.errors import Refused

# DocuSign writes seven fractional digits; a datetime holds six.
_FRACTION = re.compile(r"(\.\d{6})\d+")


def instant(text: str) -> datetime:
    """The UTC instant in one of DocuSign's date-times. Raises ``ValueError`` without an offset."""
    moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


def _instant_text(text: str) -> str:
    try:
        instant(text)
    except (ValueError, OverflowError):
        raise PydanticCustomError("instant", "must be an ISO 8601 instant with its offset") from None
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
InstantText = Annotated[str, AfterValidator(_instant_text)]
"""An instant, kept as the vendor wrote it."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class CustomField(_Wire):
    """A text or list custom field of an envelope."""

    field_id: str | None = None
    name: str
    value: str | None = None


class CustomFields(_Wire):
    """An envelope's custom fields."""

    text_custom_fields: tuple[CustomField, ...] | None = None
    list_custom_fields: tuple[CustomField, ...] | None = None


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


class Envelope(_Wire):
    """An envelope as ``GET /envelopes/{envelopeId}`` gives it."""

    envelope_id: Name
    status: Name
    email_subject: str | None = None
    created_date_time: InstantText | None = None
    sent_date_time: InstantText | None = None
    delivered_date_time: InstantText | None = None
    completed_date_time: InstantText | None = None
    declined_date_time: InstantText | None = None
    voided_date_time: InstantText | None = None
    voided_reason: str | None = None
    status_changed_date_time: InstantText | None = None
    last_modified_date_time: InstantText | None = None
    custom_fields: CustomFields | None = None
    recipients: Recipients | None = None

    @property
    def version(self) -> str:
        """When it last changed: an ISO instant in UTC of fixed width, so that later ones compare greater. Raises ``Refused``."""
        moments = [instant(text) for text in (self.status_changed_date_time, self.last_modified_date_time) if text]
        if not moments:
            raise Refused(
                "DocuSign envelope: statusChangedDateTime: missing, so its versions cannot be ordered",
                cause="invalid_record",
                field="statusChangedDateTime",
            )
        return max(moments).isoformat(timespec="microseconds")


class ConnectSubject(_Wire):
    """What a Connect message is about."""

    account_id: Name
    envelope_id: Name


class ConnectMessage(_Wire):
    """A Connect JSON message (one envelope event, delivery mode SIM)."""

    event: Name
    generated_date_time: InstantText
    data: ConnectSubject

    @property
    def delivery_id(self) -> str:
        """What stays the same when DocuSign delivers the message again."""
        return f"{self.data.envelope_id}:{self.event}:{self.generated_date_time}"


class AccessGrant(BaseModel):
    """The answer of the token endpoint (RFC 6749 §5.1)."""

    access_token: Annotated[str, StringConstraints(min_length=1, max_length=16384, pattern=r"^[\x21-\x7e]+$")]
    expires_in: Annotated[int, Field(gt=0, le=366 * 86400)]


class UserAccount(BaseModel):
    """One account of the signed-in user; ``base_uri`` is the regional server that holds it."""

    account_id: str
    base_uri: str


class UserInfo(BaseModel):
    """The answer of ``/oauth/userinfo``."""

    accounts: tuple[UserAccount, ...] = ()
