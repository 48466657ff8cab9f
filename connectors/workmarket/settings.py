"""The settings form of the WorkMarket connector.

Its description gives types without units and statuses without names: what is assumed of them are defaults here, from memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


def _is_hard_to_guess(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if len(text) < 16 or not (text.isascii() and text.isprintable()) or text != text.strip():
        raise PydanticCustomError("webhook_secret", "must be at least 16 printable ASCII characters without blanks around them")
    return secret


class WorkMarketSettings(ConnectorSettings):
    """One company at WorkMarket, through its API token and secret."""

    base_url: HttpsOrigin = Field(
        default="https://www.workmarket.com", description="or https://api.dev.workmarket.com for trials"
    )
    api_token: SecretStr = Field(min_length=1)
    api_secret: SecretStr = Field(min_length=1)
    webhook_secrets: tuple[Annotated[SecretStr, AfterValidator(_is_hard_to_guess)], ...] = Field(
        default=(), description="each is accepted in the header X-Stint-Secret, which the webhook in WorkMarket has to send"
    )
    time_unit: Literal["seconds", "milliseconds"] = Field(default="seconds", description="of every time in the API, since 1970")
    token_lifetime_seconds: float = Field(default=3600.0, ge=60, le=86400, description="after which a new one is asked for")
    page_size: int = Field(default=25, ge=20, le=500)
    overlap_seconds: int = Field(default=120, ge=0, le=3600, description="how far before the last poll the next one looks again")
    unassigned_statuses: tuple[Word, ...] = Field(default=("draft", "sent", "declined"), description="ended by void")
    ended_statuses: tuple[Word, ...] = Field(
        default=(
            "complete", "paymentPending", "paid", "refunded", "void", "cancelled", "cancelledPayPending", "cancelledWithPay", "deleted",
        ),
        description="nobody works on such an assignment (any more)",
    )  # fmt: skip
    end_assigned_with: Literal["reschedule", "cancel", "complete"] = Field(
        default="reschedule",
        description="how an assignment with a worker is ended: reschedule moves its end and touches no pay; cancel and complete do",
    )
    cancellation_reason: Word | None = Field(default=None, description="one of the API's cancellation codes")
    note: Word = Field(default="The engagement has ended.", description="written with a cancellation, a voiding or a completion")
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @property
    def ticks_per_second(self) -> int:
        """How many of ``time_unit`` make a second."""
        return 1 if self.time_unit == "seconds" else 1000

    @property
    def overlap_ticks(self) -> int:
        """``overlap_seconds`` in ``time_unit``."""
        return self.overlap_seconds * self.ticks_per_second
