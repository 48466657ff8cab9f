"""OData's errors and batches, without a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest

from connectors.http import Dialect
from connectors.protocols.odata import Batch, Page, Part, error_in
from workforce.errors import NotFound, OutcomeUnknown, RetryLater

Answered = Callable[[Mapping[str, Any]], dict[str, object] | None]


class Service:
    """Answers each part by ``answer``, in reverse; ``None`` leaves one without an answer."""

    def __init__(self, answer: Answered) -> None:
        self.sent: list[list[object]] = []
        self._answer = answer

    def send_batch(self, requests: Sequence[Mapping[str, object]], *, is_read: bool) -> httpx.Response:
        del is_read
        self.sent.append([part["id"] for part in requests])
        told = [{"id": part["id"], **answer} for part in reversed(requests) if (answer := self._answer(part)) is not None]
        return httpx.Response(200, json={"responses": told})


def a_batch(service: Any, slept: list[float] | None = None) -> Batch:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        if slept is not None and seconds:
            slept.append(seconds)

    return Batch(service, Dialect("vendor"), "https://vendor.example", size=3, sleep=sleep, monotonic=lambda: clock[0])


def parts(n: int) -> list[Part]:
    return [Part(str(i), "PATCH", f"/things/{i}", {"x": i}) for i in range(n)]


def test_answers_in_any_order_find_their_parts_and_one_that_fails_keeps_no_other_back() -> None:
    service = Service(lambda part: {"status": 404} if part["id"] == "2" else {"status": 200, "body": part["body"]})
    outcomes = a_batch(service).write(parts(5))
    assert service.sent == [["0", "1", "2"], ["3", "4"]]
    assert isinstance(outcomes.pop("2"), NotFound)
    assert {key: each.json()["x"] for key, each in outcomes.items() if isinstance(each, httpx.Response)} == {
        "0": 0, "1": 1, "3": 3, "4": 4,
    }  # fmt: skip


def test_only_a_part_that_was_put_off_is_sent_again_and_not_before_it_may_be() -> None:
    seen: list[str] = []

    def answer(part: Mapping[str, Any]) -> dict[str, object]:
        seen.append(part["id"])
        return {"status": 429, "headers": {"retry-after": "2"}} if seen.count("1") == 1 and part["id"] == "1" else {"status": 204}

    slept: list[float] = []
    outcomes = a_batch(Service(answer), slept).write(parts(2))
    assert (sorted(seen), slept) == (["0", "1", "1"], [2.0])
    assert all(isinstance(outcome, httpx.Response) for outcome in outcomes.values())


@pytest.mark.parametrize("answer", [None, {"status": 500}, {"status": 99}, {"status": "done"}])
def test_a_part_without_a_clear_answer_is_unknown_where_it_writes_and_may_be_repeated_where_it_reads(
    answer: dict[str, object] | None,
) -> None:
    assert isinstance(a_batch(Service(lambda _: answer)).write(parts(1))["0"], OutcomeUnknown)
    assert isinstance(a_batch(Service(lambda _: answer)).read(parts(1))["0"], RetryLater)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"responses": 5}'])
def test_a_batch_whose_answer_cannot_be_read_is_unknown_for_every_part(content: bytes) -> None:
    class Odd:
        def send_batch(self, requests: Sequence[Mapping[str, object]], *, is_read: bool) -> httpx.Response:
            del requests, is_read
            return httpx.Response(200, content=content)

    assert {type(outcome) for outcome in a_batch(Odd()).write(parts(2)).values()} == {OutcomeUnknown}


def test_an_error_is_read_by_its_codes_and_what_is_none_is_left_out() -> None:
    details = [{"code": "ObjectConflict", "target": "mail"}, {"code": "Ada Lovelace", "target": None}]
    body = {"error": {"code": "BadRequest", "target": "ada@acme.example", "message": "of Ada", "details": details}}
    error = error_in(httpx.Response(400, json=body))
    assert (error.code, error.target, error.message) == ("BadRequest", "", "of Ada")
    assert [(detail.code, detail.target) for detail in error.details] == [("ObjectConflict", "mail"), ("", "")]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"error": "Ada"}', b'{"error": {"details": 5}}'])
def test_an_answer_without_an_error_has_an_empty_one(content: bytes) -> None:
    assert error_in(httpx.Response(400, content=content)).code == ""


def test_a_page_leads_to_the_next_until_there_is_none() -> None:
    page = Page[int].model_validate(
        {"value": [1, 2], "@odata.nextLink": "https://vendor.example/things?page=2", "@odata.count": 3}
    )
    assert (page.value, page.next_link) == ([1, 2], "https://vendor.example/things?page=2")
    assert Page[int].model_validate({"value": [3]}).next_link is None
