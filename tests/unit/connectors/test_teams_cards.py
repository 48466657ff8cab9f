"""Teams cards: small enough, shown as written, and an address that nobody sees."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.teams.notifier import message
from connectors.teams.settings import TeamsSettings

SECRET = "canary-signature"
URL = f"https://prod-23.westeurope.logic.azure.com:443/workflows/0f1e/triggers/manual/paths/invoke?api-version=1&sig={SECRET}"


def lines(posted: dict[str, object]) -> list[str]:
    (attachment,) = posted["attachments"]  # type: ignore[misc]
    return [block["inlines"][0]["text"] for block in attachment["content"]["body"]]


def test_a_card_shows_subject_people_and_each_line_as_written() -> None:
    posted = message(["hr@acme.example"], "A  document\nexpires", "See [here](https://evil.example)\n\n*now*", "k")
    assert lines(posted) == ["A document expires", "hr@acme.example", "See [here](https://evil.example)", "*now*"]
    assert {block["type"] for block in posted["attachments"][0]["content"]["body"]} == {"RichTextBlock"}


@given(
    st.text(),
    st.text(st.sampled_from("a🙂\n\x00ß"), min_size=0, max_size=400).map(lambda text: text * 150),
    st.lists(st.emails(), max_size=50),
)
def test_a_card_always_fits(subject: str, text: str, to: list[str]) -> None:
    assert len(json.dumps(message(to, subject, text, "k"))) <= 28_672


@given(st.text(st.characters(), max_size=200))
def test_what_cannot_be_shown_is_not_sent(text: str) -> None:
    posted = message([text], text, text, "k")
    json.dumps(posted, ensure_ascii=False).encode()
    assert not {"\x00", "\x1b", "\x7f", "\ud800"} & set("".join(lines(posted)))


def test_a_huge_text_is_cut_at_once() -> None:
    assert len(json.dumps(message([], "s", "a\n" * 5_000_000, "k"))) <= 28_672


def test_a_text_that_is_cut_says_so_and_keeps_most() -> None:
    shown = lines(message([], "s", "x" * 50_000, "k"))[1]
    assert shown.endswith("x…")
    assert len(shown) > 20_000


def test_the_same_key_gives_the_same_id() -> None:
    ids = [message([], "s", "t", key)["attachments"][0]["content"]["body"][0]["id"] for key in ("lease-7", "lease-7", "lease-8")]
    assert (ids[0] == ids[1], ids[0] == ids[2], "lease" in ids[0]) == (True, False, False)


def test_the_address_is_taken_apart_without_losing_an_escape() -> None:
    settings = TeamsSettings.model_validate({"webhook_url": URL + "&sp=%2Ftriggers"})
    assert settings.origin == "https://prod-23.westeurope.logic.azure.com:443"
    assert settings.target == b"/workflows/0f1e/triggers/manual/paths/invoke?api-version=1&sig=canary-signature&sp=%2Ftriggers"
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "url", ["", "https://", f"http://logic.azure.com/?sig={SECRET}", "https://logic.azure.com/workflows/0f1e", f"https://me:{SECRET}@x.example/?a=b",
            f"https://x.example/?sig={SECRET} y", f"https://x.example/?sig={SECRET}\r\nHost: evil.example", f"https://x.example/?sig={SECRET}ü",
            f"https://x.example:port/?sig={SECRET}", f"https://x.example/?sig={SECRET}#part", f"https://[::1/?sig={SECRET}"]
)  # fmt: skip
def test_what_is_no_whole_address_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TeamsSettings.model_validate({"webhook_url": url})
    assert SECRET not in str(caught.value)


def test_a_request_prints_no_secret() -> None:
    settings = TeamsSettings.model_validate({"webhook_url": URL})
    request = httpx.Request("POST", settings.origin, extensions={"target": settings.target})
    assert SECRET not in f"{request!r} {request.url}"
