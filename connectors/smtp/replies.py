"""What a server's replies (RFC 5321 §4.2) and a lost connection mean."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from workforce.errors import HubError, Misconfigured, Refused, RetryLater

_ENHANCED = re.compile(rb"^([245]\.\d{1,3}\.\d{1,3})\b")  # RFC 3463; the words after it may hold addresses
_THROTTLED = frozenset({450, 451, 452})
_AUTHENTICATION = frozenset({530, 534, 535, 538})


def judged(code: int, text: bytes, doing: str) -> HubError | None:
    """The error that a negative reply to ``doing`` is; ``None`` for a reply that is none."""
    told = f"smtp: {doing} was answered {status(code, text)}"
    if 400 <= code < 500:
        return RetryLater(told, cause="throttled" if code in _THROTTLED else "unavailable")
    if code in _AUTHENTICATION:
        return Misconfigured(f"{told}: it wants other credentials; correct them", cause="unauthenticated", field="password")
    if 500 <= code < 600:
        return Refused(f"{told}; ask the server's administrator", cause=f"smtp_{code}")
    return None


def status(code: int, text: bytes) -> str:
    """The reply's code and its enhanced status, without its words."""
    enhanced = _ENHANCED.match(text)
    return f"{code} {enhanced[1].decode('ascii')}" if enhanced else str(code)


def not_sent(doing: str) -> RetryLater:
    """The conversation broke off before the content was sent."""
    return RetryLater(f"smtp: {doing} found no usable answer; nothing was sent", cause="cannot_connect")


@contextmanager
def before_content(doing: str) -> Iterator[None]:
    """Whatever goes wrong in the block, no content was sent. Raises ``RetryLater``, ``Misconfigured``, ``Refused``."""
    try:
        yield
    except ssl.SSLCertVerificationError:
        message = "smtp: the server's certificate is not accepted for host; correct host, or give the authority in ca_file"
        raise Misconfigured(message, cause="bad_certificate", field="ca_file") from None
    except smtplib.SMTPNotSupportedError:
        message = "smtp: the server offers no STARTTLS, and nothing is sent without; try security tls with port 465"
        raise Misconfigured(message, cause="no_encryption", field="security") from None
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
        raise judged(error.smtp_code, text, doing) or not_sent(doing) from None
    except (OSError, UnicodeError):  # smtplib's own errors are among them
        raise not_sent(doing) from None
