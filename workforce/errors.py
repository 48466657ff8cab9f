"""The four errors that may leave a connector or a domain rule. Each type says what to do next; nothing else escapes.

``RetryLater``      the other side did not do it and may do it later: try again, not before ``after_seconds``.
``OutcomeUnknown``  the other side may have done it: look it up, never blindly repeat.
``Refused``         the other side, or a rule of ours, says no: repeating the same call will not help; a person looks.
``Misconfigured``   our settings are wrong: an administrator mends them, then the work is replayed.

Messages are for people: they name the field and the next step and never carry payloads or secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


class HubError(Exception):
    """Base of the taxonomy. Raise one of its four children, never this.

    ``cause`` is a stable, machine-readable word for grouping equal failures (``unknown_role``, ``throttled``).
    ``field`` names the offending field in the terms of the source, where there is one.
    """

    def __init__(self, message: str, *, cause: str, field: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.field = field


class RetryLater(HubError):
    """Nothing was done; the same call may succeed later. ``after_seconds`` is the vendor's wish or ``None``."""

    def __init__(self, message: str, *, cause: str = "unavailable", after_seconds: float | None = None) -> None:
        super().__init__(message, cause=cause)
        self.after_seconds = after_seconds


class OutcomeUnknown(HubError):
    """The call may or may not have taken effect (timeout, reset, 500 after sending a write)."""

    def __init__(self, message: str, *, cause: str = "outcome_unknown") -> None:
        super().__init__(message, cause=cause)


class Refused(HubError):
    """A definite no. The engagement waits in the failure list until a person mends the cause."""

    def __init__(self, message: str, *, cause: str = "refused", field: str | None = None) -> None:
        super().__init__(message, cause=cause, field=field)


class NotFound(Refused):
    """The thing asked for does not exist, or does not exist yet (read-after-write lag)."""

    def __init__(self, message: str, *, cause: str = "not_found", field: str | None = None) -> None:
        super().__init__(message, cause=cause, field=field)


class AlreadyTaken(Refused):
    """A vendor-enforced unique key is in use. Look up whether the holder carries our marker: adopt, or park a namesake."""

    def __init__(self, message: str, *, cause: str = "already_taken", field: str | None = None) -> None:
        super().__init__(message, cause=cause, field=field)


class BadSignature(Refused):
    """A webhook's signature is missing, malformed or wrong. Answered with 401; nothing of the body is used."""

    def __init__(self, message: str = "the signature does not match the body", *, cause: str = "bad_signature") -> None:
        super().__init__(message, cause=cause)


class UnusableContent(Refused):
    """Authentic content that we cannot use. It is stored and parked with its cause."""

    def __init__(self, message: str, *, cause: str = "unusable_content", field: str | None = None) -> None:
        super().__init__(message, cause=cause, field=field)


class Fenced(Refused):
    """The engagement moved on (newer epoch or tombstone): this runner is stale and must stop without a trace."""

    def __init__(self, message: str, *, cause: str = "fenced") -> None:
        super().__init__(message, cause=cause)


class Misconfigured(HubError):
    """Our own settings are wrong. ``field`` is the key; the message names the places that were searched."""

    def __init__(self, message: str, *, cause: str = "misconfigured", field: str | None = None) -> None:
        super().__init__(message, cause=cause, field=field)


def outcome_of_each(ids: Iterable[str], act: Callable[[str], object]) -> dict[str, HubError | None]:
    """Do ``act`` for each id, and tell each one's error or ``None``: one that fails keeps no other from being done."""
    return {one: _error_of(act, one) for one in ids}


def _error_of(act: Callable[[str], object], one: str) -> HubError | None:
    try:
        act(one)
    except HubError as error:
        return error
    return None


def error_unless_fenced(act: Callable[[], object]) -> HubError | None:
    """Do ``act``, and tell its error or ``None``, so that the next thing is done all the same. Raises ``Fenced``: nothing is ours to do any more."""
    try:
        act()
    except Fenced:
        raise
    except HubError as error:
        return error
    return None


def raise_first(errors: Iterable[HubError]) -> None:
    """Raise one of ``errors``, if there is any: first what may be tried again, so that a refusal keeps nothing from its retry."""
    for error in sorted(errors, key=lambda error: not isinstance(error, RetryLater | OutcomeUnknown)):
        raise error
