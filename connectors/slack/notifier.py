"""Notices in Slack, each at most once in a conversation as far as its recent history tells."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

import structlog

from connectors.slack.client import SlackClient
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater, outcome_of_each

log = structlog.get_logger(__name__)

EVENT_TYPE = "stint_notice"
APART_SECONDS, PATIENCE_SECONDS = 1.0, 10.0
MAX_SEEN = 2000
MAX_SUBJECT, MAX_TEXT = 300, 7000  # escaped, a letter may become five, and Slack takes 40,000
_ID = re.compile(r"[CGD][A-Z0-9]{8,}")
_USER = re.compile(r"[UW][A-Z0-9]{2,}")
_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_GRAVEST: tuple[type[HubError], ...] = (OutcomeUnknown, RetryLater, Misconfigured, Refused)


class SlackNotifier:
    """Messages to channels (``C0123ABCD``, ``#name``), members (``U0123ABCD``) and mail addresses, who are told in person.

    Slack drops no repeats, so each message carries its key as metadata, and the conversation's youngest ``MAX_SEEN`` messages of the
    last ``look_back_hours`` are looked through before one is sent. Since a message may show late, what this process sent is remembered
    as well; only a lost answer that is repeated before its message shows is not recognised. One who cannot be told keeps no other back.
    """

    def __init__(self, client: SlackClient, *, now: Callable[[], float] = time.time) -> None:
        self._client, self._now = client, now
        self._conversations: dict[str, _Conversation] = {}
        self._named: dict[str, str] = {}

    def send(self, *, to: Iterable[str], subject: str, text: str, dedup_key: str) -> None:
        """Send to each in ``to``; nobody is told twice when it is repeated after an error. What is too long for Slack is cut."""
        recipients = list(dict.fromkeys(to))
        if not recipients:
            raise Refused("slack: a notice has at least one recipient", cause="recipients", field="to")
        said = f"*{_shown(' '.join(subject.split()), MAX_SUBJECT)}*\n{_shown(text, MAX_TEXT)}"
        key = self._key(dedup_key)
        self._raise_gravest(outcome_of_each(recipients, lambda recipient: self._tell(recipient, said, key)))

    def _key(self, dedup_key: str) -> str:
        """Keyed with the token, so that no other app in the conversation can say beforehand that we told it."""
        secret = self._client.settings.bot_token.get_secret_value().encode("utf-8", "replace")
        return hmac.new(secret, dedup_key.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:40]

    def _tell(self, recipient: str, said: str, key: str) -> None:
        try:
            channel = self._channel(recipient)
            conversation = self._conversations.setdefault(channel, _Conversation())
            with conversation.alone():
                if self._was_told(channel, conversation, key):
                    log.info("slack.already_told", channel=channel)
                    return
                conversation.tell(key, lambda: self._client.post(_message(channel, said, key)))
        except Refused:
            self._named.pop(recipient, None)  # the channel may have been replaced by another of its name
            raise

    def _channel(self, recipient: str) -> str:
        if _ID.fullmatch(recipient):
            return recipient
        if _USER.fullmatch(recipient):
            return self._client.direct_channel(recipient)
        if recipient.startswith("#"):
            if recipient not in self._named:
                self._named[recipient] = self._client.channel_named(recipient.removeprefix("#"))
            return self._named[recipient]
        if "@" in recipient.strip("@"):
            return self._client.direct_channel(self._client.user_with_email(recipient))
        message = "slack: a recipient is a channel's or member's id, a channel's #name, or a mail address"
        raise Refused(message, cause="bad_address", field="to")

    def _was_told(self, channel: str, conversation: _Conversation, key: str) -> bool:
        hours = self._client.settings.look_back_hours
        if not hours:
            return False
        if key in conversation.told:
            return True
        seen = islice(self._client.messages(channel, self._now() - hours * 3600), MAX_SEEN)
        return any(_key_of(message) == key for message in seen)

    def _raise_gravest(self, outcome: Mapping[str, HubError | None]) -> None:
        failed = [error for error in outcome.values() if error is not None]
        if not failed:
            return
        log.warning("slack.not_everybody_told", failed=len(failed), recipients=len(outcome))
        gravest = min(failed, key=lambda error: next(n for n, kind in enumerate(_GRAVEST) if isinstance(error, kind)))
        if isinstance(gravest, RetryLater) and len(failed) < len(outcome) and not self._client.settings.look_back_hours:
            message = "slack: some recipients were told and some not; a repeat would not see whom, as look_back_hours is 0"
            raise OutcomeUnknown(message, cause="partly_sent") from None
        raise gravest


class _Conversation:
    """What this process did in one conversation. ``told`` are the keys of its last notices there."""

    def __init__(self) -> None:
        self.told: deque[str] = deque(maxlen=200)
        self._lock = threading.Lock()
        self._free_at = 0.0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Two threads with the same notice would both see that nobody was told. Raises ``RetryLater`` when others take too long."""
        if not self._lock.acquire(timeout=PATIENCE_SECONDS):
            raise RetryLater("slack: other notices wait for this conversation", cause="budget_spent", after_seconds=APART_SECONDS)
        try:
            yield
        finally:
            self._lock.release()

    def tell(self, key: str, post: Callable[[], None]) -> None:
        """``post`` a second after the last answer: counted from the request, the next one might overtake the delay of this one."""
        time.sleep(max(0.0, self._free_at - time.monotonic()))
        try:
            post()
        finally:
            self._free_at = time.monotonic() + APART_SECONDS
        self.told.append(key)


def _message(channel: str, said: str, key: str) -> dict[str, object]:
    metadata = {"event_type": EVENT_TYPE, "event_payload": {"dedup_key": key}}
    return {"channel": channel, "text": said, "unfurl_links": False, "unfurl_media": False, "metadata": metadata}


def _key_of(message: object) -> object:
    match message:
        case {"metadata": {"event_type": str(kind), "event_payload": {"dedup_key": key}}} if kind == EVENT_TYPE:
            return key
    return None


def _shown(text: str, longest: int) -> str:
    """As Slack wants it, so that no text of ours calls a channel or a person."""
    cut = text if len(text) <= longest else f"{text[:longest]}…"
    return _UNSHOWN.sub(" ", cut).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
