"""The words of a ticket: what is to be done, for whom, until when, and what is asked for as evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from connectors.manual.settings import ManualSettings
from connectors.manual.tickets import TAKES_AWAY, Action, Content
from connectors.protocols.desks.cases import Number

_WORDS: Mapping[str, str] = {
    Action.CREATE: "Make an account for this person, with this login",
    Action.UPDATE: "Change what the account says of this person, as under set",
    Action.EXPIRY: "Let the account end at another time",
    Action.ENABLE: "Let this person in; take a block away",
    Action.BLOCK: "Block this account, and end every session that is open",
    Action.SIGN_OUT: "End every session of this account that is open; the account stays as it is",
    Action.ADD: "Give this person: {thing}",
    Action.REMOVE: "Take back from this person: {thing}",
}
_NOT_YET = "; it must not let anybody in yet"


def sheet_of(
    number: Number,
    content: Content,
    settings: ManualSettings,
    *,
    now: datetime,
    person: str,
    ends_at: datetime | None,
    instead_of: Iterable[Number],
) -> dict[str, str]:
    """The fields of a ticket, for people and for us. What concerns nobody is left out."""
    withdrawn = ", ".join(map(str, instead_of))
    hours = settings.revoke_within_hours if number.action in TAKES_AWAY else settings.grant_within_hours
    not_yet = _NOT_YET if number.action == Action.CREATE and not content.enabled else ""
    told = {
        "system": settings.system,
        "what": _WORDS[number.action].format(thing=_plain(content.thing)) + not_yet,
        "how": settings.gives.get(content.thing, ""),
        "person": _plain(person),
        "marker": number.marker,
        "due": _told(now + timedelta(hours=hours), settings),
        "access_ends": _told(ends_at, settings) if ends_at else "",
        "not_any_more": f"{withdrawn}; where that was done already, undo it" if withdrawn else "",
        "answer_with": f"a file with ticket, outcome (done, or refused with a reason), who, when, and as evidence {settings.asks}",
    }
    return {name: text for name, text in told.items() if text} | content.fields()


def bare(fields: Mapping[str, str], number: Number) -> dict[str, str]:
    """A ticket that every form can hold: without the words of others, and by the marker alone."""
    kept = {name: fields[name] for name in ("marker", "thing", "due", "answer_with") if name in fields}
    return {"what": _WORDS[number.action].format(thing="the thing under this number"), **kept}


def _told(moment: datetime, settings: ManualSettings) -> str:
    return moment.astimezone(settings.zone or UTC).isoformat(sep=" ", timespec="minutes")


def _plain(text: str) -> str:
    """``text`` without what does not print, so that it stands on one line and reads as it is written."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
