"""The settings form of an e-mail instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings

HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)]
MailAddress = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
        max_length=254,
    ),
]
"""An address of RFC 5321, a dot-atom without quoting, in ASCII (a domain with other letters in its xn-- form)."""


class SmtpSettings(ConnectorSettings):
    """One submission server (RFC 6409) and the address that notices come from."""

    host: HostName
    port: int = Field(default=587, ge=1, le=65535, description="587 for starttls, 465 for tls")
    security: Literal["starttls", "tls"] = Field(default="starttls", description="tls speaks TLS from the first byte (RFC 8314)")
    username: str | None = Field(default=None, description="left out where the server knows the hub by its address")
    password: SecretStr | None = None
    from_address: MailAddress
    from_name: str = Field(default="Stint", max_length=100)
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=60, description="for each answer; a whole delivery may take four times as long"
    )
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @model_validator(mode="after")
    def _whole_credentials(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise PydanticCustomError("credentials", "give username and password together, or neither")
        return self
