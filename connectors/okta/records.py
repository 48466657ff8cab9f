"""What Okta sends, typed. Field names are Okta's own (Management API 2026.06.3)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field, SecretStr

from connectors.records.answers import Wire


class Status(StrEnum):
    """A user's status."""

    STAGED = "STAGED"
    """Never activated: cannot sign in."""
    PROVISIONED = "PROVISIONED"
    """Activated, and still to set up a sign-in."""
    ACTIVE = "ACTIVE"
    RECOVERY = "RECOVERY"
    """On the way to a new password."""
    PASSWORD_EXPIRED = "PASSWORD_EXPIRED"  # noqa: S105 - a status
    LOCKED_OUT = "LOCKED_OUT"
    """After wrong passwords; time, an administrator or the person's own doing unlocks it."""
    SUSPENDED = "SUSPENDED"
    """Cannot sign in; everything is kept. From here only unsuspend and deactivate."""
    DEPROVISIONED = "DEPROVISIONED"
    """Deactivated: cannot sign in; app assignments and factors are gone."""


ID = r"[A-Za-z0-9_-]{1,64}"
"""The form of Okta's ids, as far as it was seen; it is safe in a path."""

CANNOT_SIGN_IN = frozenset({Status.STAGED, Status.SUSPENDED, Status.DEPROVISIONED})
"""In all other states a person signs in, or can get there without us."""


class OktaRecord(Wire):
    """Base: fields carry Okta's names as aliases."""

    model_config = ConfigDict(populate_by_name=True)


class Profile(OktaRecord):
    """What we look at of a profile; ``extra`` holds the org's own attributes."""

    model_config = ConfigDict(extra="allow")

    login: str
    employee_number: str | None = Field(default=None, alias="employeeNumber")

    @property
    def told(self) -> dict[str, object]:
        """All that Okta told, in its own names."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def text(self, name: str) -> str | None:
        """A custom attribute, where it is a text."""
        held = (self.model_extra or {}).get(name)
        return held if isinstance(held, str) else None


class User(OktaRecord):
    """A user. ``transitioning_to`` is told while a change of status is under way. A status that we do not know is not blocked."""

    id: str = Field(pattern=f"^{ID}$")
    status: str
    transitioning_to: str | None = Field(default=None, alias="transitioningToStatus")
    last_login: str | None = Field(default=None, alias="lastLogin")
    profile: Profile

    @property
    def standing(self) -> tuple[str, str | None]:
        """Its status, and the one that it is on the way to."""
        return self.status, self.transitioning_to

    @property
    def is_being_deactivated(self) -> bool:
        """Whether a deactivation is under way; nothing takes it back but a later activation."""
        return self.transitioning_to == Status.DEPROVISIONED

    @property
    def is_blocked(self) -> bool:
        """Whether the person cannot sign in, and is not about to."""
        return self.status in CANNOT_SIGN_IN and self.transitioning_to in {None, Status.DEPROVISIONED}


class Group(OktaRecord):
    """A group; ``BUILT_IN`` ones (Everyone) are managed by Okta alone, an ``APP_GROUP`` by the app that it comes from."""

    id: str
    type: str = ""


class TemporaryPassword(OktaRecord):
    """What a person signs in with once, to choose a password of their own."""

    secret: SecretStr = Field(alias="tempPassword", min_length=1)


class ActivationLink(OktaRecord):
    """Where a person who never had a password chooses one."""

    secret: SecretStr = Field(alias="activationUrl", min_length=1)


class Role(OktaRecord):
    """An administrator role that is assigned to a user."""

    type: str = ""


class ErrorCause(OktaRecord):
    """One reason, such as ``login: An object with this field already exists``."""

    error_summary: str = Field(default="", alias="errorSummary")


class OktaError(OktaRecord):
    """Okta's error answer. Summaries may name people: they are looked at, never passed on."""

    error_code: str = Field(default="", alias="errorCode", pattern=r"^(E\d{7})?$")
    error_id: str = Field(default="", alias="errorId", pattern=r"^[\w-]{0,64}$")
    error_causes: list[ErrorCause] = Field(default=[], alias="errorCauses")
