"""100,000 hostile logins and markers: no filter is widened. Judged by a reader of RFC 7644's grammar that shares no code with ours."""

from __future__ import annotations

import random

from scim2_models import EnterpriseUser, ScimFilter, User

from connectors.protocols.scim_resources import User as Seen
from connectors.protocols.scim_resources import equals
from connectors.protocols.scim_server import resource_path
from workforce.errors import NotFound
from workforce.markers import is_marker

PIECES = ['"', "\\", '\\"', '" or userName pr or userName eq "', ") or (", " and ", "]", "[", "'", "*", "%", "\u2019", "\u201d", "\uff02", "é", "e\u0301",
          "\u202e", "\0", "\n", "\u2028", "\ud83d\ude00", "/", "..", "?", "#", "&filter=", "ada", "@client.example", " ", "ST0123456789ABC", "\\u0022"]  # fmt: skip


def hostile(count: int) -> list[str]:
    choose = random.Random(7644)  # noqa: S311 - the same content at each run
    return ["".join(choose.choices(PIECES, k=choose.randint(1, 6))) for _ in range(count)]


def _read(text: str) -> tuple[str, str]:
    """The literal at the start of ``text`` and what is left, by the grammar: a JSON string (RFC 7644 §3.4.2.2, RFC 8259 §7)."""
    assert text[0] == '"'
    escapes = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
    value, at = "", 1
    while text[at] != '"':
        assert text[at] >= " ", "control characters have to be escaped"
        if text[at] != "\\":
            value, at = value + text[at], at + 1
        elif text[at + 1] == "u":
            value, at = value + chr(int(text[at + 2 : at + 6], 16)), at + 6
        else:
            value, at = value + escapes[text[at + 1]], at + 2
    return value, text[at + 1 :]


def test_no_value_leaves_its_place_in_a_filter() -> None:
    for value in hostile(100_000):
        name, _, rest = equals("userName", value).partition(" eq ")
        assert (name, _read(rest)) == ("userName", (value, ""))


def test_an_independent_reader_sees_one_comparison() -> None:
    somebody = User[EnterpriseUser](user_name="somebody.else")
    for value in hostile(500):
        assert not ScimFilter[User[EnterpriseUser]](equals("userName", value)).match(somebody)


def test_no_id_leaves_its_place_in_aresource_path() -> None:
    for value in hostile(100_000):
        try:
            path = resource_path(Seen, value)
        except NotFound:
            continue
        assert path.startswith("/Users/")
        assert not set(path.removeprefix("/Users/")) & set('/?#\\" ')


def test_nothing_but_a_marker_is_searched_as_one() -> None:
    assert {value for value in hostile(100_000) if is_marker(value)} <= {"ST0123456789ABC"}
