"""Notices in Slack, each at most once in a conversation as far as its recent history tells."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import httpx
import structlog

from connectors.budget import Budget, Budgets
from connectors.slack.client import SlackClient
from workforce.errors import HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater, outcome_of_each

log = structlog.get_logger(__name__)

EVENT_TYPE = "stint_notice"
PER_CHANNEL = Budget(units=1, seconds=1)
MANY_CHANNELS = 1000
_ID = re.compile(r"[CGD][A-Z0-9]{8,}")
_USER = re.compile(r"[UW][A-Z0-9]{2,}")
_GRAVEST: tuple[type[HubError], ...] = (OutcomeUnknown, RetryLater, Misconfigured, Refused)


class SlackNotifier:
    """Messages to channels (``C0123ABCD``, ``#name``), members (``U0123ABCD``) and mail addresses, who are told in person.

    Slack drops no repeats, so each message carries its key as metadata, and the conversation's messages of the last
    ``look_back_hours`` are looked through before one is sent. A repeat within the seconds in which a message does not show yet is not
    recognised. One recipient who cannot be told keeps no other from being told.
    """

    def __init__(self, client: SlackClient, *, now: Callable[[], float] = time.time) -> None:
        self._client, self._now = client, now
        self._pace = _Pace()
        self._named: dict[str, str] = {}

    def send(self, *, to: Iterable[str], subject: str, text: str, dedup_key: str) -> None:
        """Send to each in ``to``; nobody is told twice when it is repeated after an error."""
        recipients = list(dict.fromkeys(to))
        if not recipients:
            raise Refused("slack: a notice has at least one recipient", cause="recipients", field="to")
        said = f"*{_escaped(' '.join(subject.split()))}*\n{_escaped(text)}"
        key = hashlib.sha256(dedup_key.encode("utf-8", "replace")).hexdigest()[:40]
        self._raise_gravest(outcome_of_each(recipients, lambda recipient: self._tell(recipient, said, key)))

    def _tell(self, recipient: str, said: str, key: str) -> None:
        try:
            channel = self._channel(recipient)
            if self._was_told(channel, key):
                log.info("slack.already_told", channel=channel)
                return
            self._pace.keep(channel)
            self._client.post(_message(channel, said, key))
        except NotFound:
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

    def _was_told(self, channel: str, key: str) -> bool:
        hours = self._client.settings.look_back_hours
        if not hours:
            return False
        told = (message.metadata for message in self._client.messages(channel, self._now() - hours * 3600))
        return any(one and one.event_type == EVENT_TYPE and one.event_payload.get("dedup_key") == key for one in told)

    def _raise_gravest(self, outcome: Mapping[str, HubError | None]) -> None:
        failed = [error for error in outcome.values() if error is not None]
        if not failed:
            return
        log.warning("slack.not_everybody_told", failed=len(failed), recipients=len(outcome))
        gravest = min(failed, key=lambda error: next(n for n, kind in enumerate(_GRAVEST) if isinstance(error, kind)))
        some_told = len(failed) < len(outcome)
        if isinstance(gravest, RetryLater) and some_told and not self._client.settings.look_back_hours:
            message = "slack: some recipients were told and some not; a repeat would not see whom, as look_back_hours is 0"
            raise OutcomeUnknown(message, cause="partly_sent") from None
        raise gravest


class _Pace:
    """One message a second in a conversation. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: dict[str, Budgets] = {}

    def keep(self, channel: str) -> None:
        """Wait for a free second. Raises ``RetryLater`` when that takes longer than a call should."""
        with self._lock:
            if len(self._channels) >= MANY_CHANNELS:
                self._channels.clear()
            budgets = self._channels.setdefault(channel, Budgets("slack", [PER_CHANNEL]))
        budgets.spend(httpx.Request("POST", "/api/chat.postMessage"))


def _message(channel: str, said: str, key: str) -> dict[str, object]:
    metadata = {"event_type": EVENT_TYPE, "event_payload": {"dedup_key": key}}
    return {"channel": channel, "text": said, "unfurl_links": False, "unfurl_media": False, "metadata": metadata}


def _escaped(text: str) -> str:
    """As Slack wants it, so that no text of ours calls a channel or a person."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
