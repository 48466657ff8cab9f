"""``stint engagements closure`` for a terminal: what is gone and since when, what was left and why, what is still possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.output import second
from ledger.ending.evidence import Evidence

_STATES = {
    "met": "within the time allowed",
    "breached": "LATER THAN ALLOWED",
    "pending": "the time allowed is not over",
    "breached_open": "THE TIME ALLOWED IS OVER",
}


def closure_lines(record: Mapping[str, Any], later: Sequence[Evidence] = ()) -> list[str]:
    """The record, and what was stated ``later`` than it was written. Instants are UTC."""
    trigger = record["trigger"]
    why = f": {trigger['reason']}" if trigger["reason"] else ""
    lines = [
        f"{record['vms_id']}, ending {trigger['number']} (instants in UTC)",
        _line("ended", f"{second(record['end_at'])}  {trigger['cause'].replace('_', ' ')}, by {trigger['began_by']}{why}"),
        _line("proven gone", _exposure(record["exposure"])),
    ]
    for system in record["systems"]:
        lines += _system(system)
    told = [("records", f"{second(r['verified_at'])}  ended in {r['system']}: {r['record_id']}") for r in record["records"]]
    told += [("holds", f"{second(h['placed_at'])}  placed by {h['placed_by']}: {h['hold_id']}") for h in record["holds"]]
    told += [
        ("evidence", f"{second(e['given_at'])}  {e['subject']}, by {e['given_by']}: {e['statement']}") for e in record["evidence"]
    ]
    told += [("added later", f"{second(e.given_at)}  {e.subject}, by {e.given_by}: {e.statement}") for e in later]
    return lines + [_line(what, text) for what, text in told]


def _exposure(exposure: Mapping[str, Any]) -> str:
    outlived = f"{exposure['seconds']:.0f} s after the end, {exposure['business_hours']:.2f} business hours"
    return f"{second(exposure['revoked_at']) or 'NOT YET:'}  {outlived}, {_STATES[exposure['state']]}"


def _system(system: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {system['system']} ({system['connector']})"
    blocked = system["sign_in_blocked_at"]
    if system["kept_for_another"]:
        yield _line("  sign-in", "goes on for another engagement of the person")
    else:
        yield _line("  sign-in", f"{second(blocked)}  blocked" if blocked else "NOT PROVEN to be blocked")
    for each in sorted(system["removed"], key=lambda each: str(each["entitlement"])):
        if each["entitlement"] != "sign_in":
            yield _line("  gone", f"{second(each['revoked_at'])}  {each['entitlement']}")
    for each in system["left"]:
        yield _line("  LEFT", f"{each['entitlement']}: {each['why']}")
    yield _line("  possible", system["residual"]["statement"])


def _line(what: str, text: str) -> str:
    return f"  {what:<13} {text}"
