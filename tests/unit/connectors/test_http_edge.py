"""The HTTP edge: what each answer means, what is retried, and what never is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import structlog
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import (
    MAX_RETRY_AFTER_SECONDS,
    READ_ATTEMPTS,
    READ_RETRY_SECONDS,
    Dialect,
    HttpEdge,
    Verdict,
    json_object,
    reset_seconds,
    retry_after_seconds,
    tls_context,
    verdict_by_status,
)
from connectors.wire.breaker import FAILURES_TO_OPEN
from connectors.wire.budget import Allowance, Budget
from workforce.errors import HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.urgency import revoking

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CANARY = "canary-7f3a"


@pytest.fixture
def vendor() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://vendor.example", assert_all_called=False) as router:
        yield router


class Time:
    """A monotonic clock that only sleeping, or a test, moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def slept(time: Time) -> list[float]:
    return time.slept


@pytest.fixture
def edge(time: Time) -> Iterator[HttpEdge]:
    edge = an_edge(sleep=time.sleep, monotonic=time.now)
    yield edge
    edge.close()


def an_edge(**changes: Any) -> HttpEdge:
    return HttpEdge("https://vendor.example", changes.pop("dialect", Dialect("Vendor")), **changes)


# Retry-After


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("999999999", MAX_RETRY_AFTER_SECONDS),
        ("9" * 400, MAX_RETRY_AFTER_SECONDS),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 13:01:00 +0100", 60.0),
        ("Sun, 01 Mar 2026 12:01:00 -0000", 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_SECONDS),
        (None, None),
        ("", None),
        (".", None),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("²", None),
        ("Sun, 99 Mar 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(text: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(text, now=NOW) == seconds


@given(st.text(max_size=60))
def test_retry_after_is_bounded_or_unusable_whatever_it_holds(text: str) -> None:
    seconds = retry_after_seconds(text)
    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(min_value=0, max_value=10**7))
def test_retry_after_as_a_date_is_the_span_until_then(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(date, now=NOW) == min(float(seconds), MAX_RETRY_AFTER_SECONDS)


# Verdicts


@given(st.integers(min_value=200, max_value=599), st.booleans())
def test_only_a_success_is_ok(status: int, says_when: bool) -> None:
    response = httpx.Response(status, headers={"retry-after": "1"} if says_when else {})
    assert (verdict_by_status(response) is Verdict.OK) == (200 <= status <= 299)


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        (302, Refused, "http_302"),
        (400, Refused, "http_400"),
        (401, Misconfigured, "unauthenticated"),
        (403, Refused, "forbidden"),
        (404, NotFound, "not_found"),
        (408, OutcomeUnknown, "http_408"),
        (409, Refused, "http_409"),
        (410, NotFound, "not_found"),
        (429, RetryLater, "throttled"),
        (500, OutcomeUnknown, "http_500"),
        (503, OutcomeUnknown, "http_503"),
    ],
)
def test_a_write_is_judged_by_its_status(
    vendor: respx.MockRouter, edge: HttpEdge, status: int, error: type[HubError], cause: str
) -> None:
    vendor.post("/things").respond(status)
    with pytest.raises(error) as raised:
        edge.write("POST", "/things")
    assert type(raised.value) is error
    assert raised.value.cause == cause


def test_a_503_that_says_when_to_come_back_did_nothing(vendor: respx.MockRouter, edge: HttpEdge) -> None:
    vendor.post("/things").respond(503, headers={"Retry-After": "5"})
    with pytest.raises(RetryLater) as raised:
        edge.write("POST", "/things")
    assert raised.value.after_seconds == 5.0


def test_a_vendor_can_say_elsewhere_how_long_to_wait(vendor: respx.MockRouter) -> None:
    dialect = Dialect("Vendor", verdict=lambda _: Verdict.THROTTLED, wait=lambda response: float(response.headers["x-reset-in"]))
    vendor.post("/things").respond(400, headers={"X-Reset-In": "77"})
    with pytest.raises(RetryLater) as raised:
        an_edge(dialect=dialect).write("POST", "/things")
    assert raised.value.after_seconds == 77.0


# Writes once, reads again


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_write_is_sent_once(vendor: respx.MockRouter, edge: HttpEdge, slept: list[float], status: int) -> None:
    route = vendor.post("/things").respond(status, headers={"Retry-After": "0"})
    with pytest.raises((OutcomeUnknown, RetryLater)):
        edge.write("POST", "/things")
    assert route.call_count == 1
    assert slept == []


@pytest.mark.parametrize(
    "fault",
    [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.DecodingError],
)
def test_a_write_without_an_answer_is_unknown_and_not_repeated(
    vendor: respx.MockRouter, edge: HttpEdge, fault: type[httpx.HTTPError]
) -> None:
    route = vendor.post("/things").mock(side_effect=fault)
    with pytest.raises(OutcomeUnknown):
        edge.write("POST", "/things")
    assert route.call_count == 1


@pytest.mark.parametrize("fault", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_a_write_that_never_left_may_be_sent_later(
    vendor: respx.MockRouter, edge: HttpEdge, fault: type[httpx.HTTPError]
) -> None:
    route = vendor.post("/things").mock(side_effect=fault)
    with pytest.raises(RetryLater) as raised:
        edge.write("POST", "/things")
    assert raised.value.cause == "cannot_connect"
    assert route.call_count == 1


@pytest.mark.parametrize("fault", [httpx.ReadTimeout, httpx.ConnectError, httpx.RemoteProtocolError])
def test_a_read_is_repeated_until_it_answers(vendor: respx.MockRouter, edge: HttpEdge, fault: type[httpx.HTTPError]) -> None:
    route = vendor.get("/things").mock(side_effect=[fault, httpx.Response(500), httpx.Response(200, json={"id": 1})])
    assert edge.read_object("GET", "/things") == {"id": 1}
    assert route.call_count == 3


def test_a_read_gives_up_after_a_few_attempts(vendor: respx.MockRouter, edge: HttpEdge, slept: list[float]) -> None:
    route = vendor.get("/things").respond(500)
    with pytest.raises(RetryLater):
        edge.read("GET", "/things")
    assert route.call_count == READ_ATTEMPTS
    assert slept == [0.1, 0.2, 0.4]


def test_a_read_waits_as_long_as_the_vendor_asks(vendor: respx.MockRouter, edge: HttpEdge, slept: list[float]) -> None:
    vendor.get("/things").mock(side_effect=[httpx.Response(429, headers={"Retry-After": "3"}), httpx.Response(200, json={})])
    edge.read("GET", "/things")
    assert slept == [3.0]


def test_a_read_that_would_wait_too_long_goes_back_to_the_queue(
    vendor: respx.MockRouter, edge: HttpEdge, slept: list[float]
) -> None:
    route = vendor.get("/things").respond(429, headers={"Retry-After": str(int(READ_RETRY_SECONDS) + 1)})
    with pytest.raises(RetryLater) as raised:
        edge.read("GET", "/things")
    assert raised.value.after_seconds == READ_RETRY_SECONDS + 1
    assert route.call_count == 1
    assert slept == []


# A vendor that asks to be left alone


def throttled(vendor: respx.MockRouter, edge: HttpEdge, seconds: str) -> None:
    vendor.get("/busy").respond(429, headers={"Retry-After": seconds})
    with pytest.raises(RetryLater):
        edge.write("GET", "/busy")


@pytest.mark.parametrize("verb", ["read", "write"])
def test_once_throttled_no_other_call_goes_out_before_its_time(
    vendor: respx.MockRouter, edge: HttpEdge, time: Time, slept: list[float], verb: str
) -> None:
    route = vendor.post("/things").respond(200)
    throttled(vendor, edge, "60")
    time.seconds += 20
    with pytest.raises(RetryLater) as raised:
        getattr(edge, verb)("POST", "/things")
    assert (raised.value.cause, raised.value.after_seconds) == ("throttled", 40.0)
    assert route.call_count == 0
    assert slept == []
    time.seconds += 40
    assert getattr(edge, verb)("POST", "/things").status_code == 200


def test_a_read_waits_out_the_rest_of_a_short_quiet(
    vendor: respx.MockRouter, edge: HttpEdge, time: Time, slept: list[float]
) -> None:
    vendor.get("/things").respond(200)
    throttled(vendor, edge, "5")
    time.seconds += 2
    assert edge.read("GET", "/things").status_code == 200
    assert slept == [3.0]


def test_a_shorter_wish_does_not_shorten_a_longer_one(vendor: respx.MockRouter, edge: HttpEdge, time: Time) -> None:
    # Both calls are on their way when the longer wish arrives, so the shorter one comes after it.
    def answer_late(_: httpx.Request) -> httpx.Response:
        throttled(vendor, edge, "60")
        return httpx.Response(429, headers={"Retry-After": "1"})

    vendor.get("/slow").mock(side_effect=answer_late)
    with pytest.raises(RetryLater):
        edge.write("GET", "/slow")
    with pytest.raises(RetryLater) as raised:
        edge.write("GET", "/slow")
    assert raised.value.after_seconds == 60.0


def test_a_throttling_without_a_time_stops_no_other_call(vendor: respx.MockRouter, edge: HttpEdge) -> None:
    vendor.get("/busy").respond(429)
    vendor.post("/things").respond(200)
    with pytest.raises(RetryLater):
        edge.write("GET", "/busy")
    assert edge.write("POST", "/things").status_code == 200


def test_a_read_that_is_held_back_asks_for_no_credentials(vendor: respx.MockRouter, time: Time) -> None:
    asked: list[int] = []

    def authorize() -> dict[str, str]:
        asked.append(1)
        return {}

    edge = an_edge(authorize=authorize, monotonic=time.now)
    throttled(vendor, edge, "60")
    with pytest.raises(RetryLater):
        edge.read("GET", "/busy")
    assert len(asked) == 1


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_definite_no_is_not_asked_again(vendor: respx.MockRouter, edge: HttpEdge, status: int) -> None:
    route = vendor.get("/things").respond(status)
    with pytest.raises(Refused):
        edge.read("GET", "/things")
    assert route.call_count == 1


# Answers that are not what they say


@pytest.mark.parametrize(
    "body", [b"", b'{"id": 1', b"<html><body>Welcome</body></html>", b"\xff\xfe{", b"[]", b"1", b"null", b"[" * 100_000]
)
def test_a_success_without_a_json_object_is_not_a_success(vendor: respx.MockRouter, edge: HttpEdge, body: bytes) -> None:
    vendor.route(path="/things").respond(200, content=body)
    with pytest.raises(RetryLater) as read:
        edge.read_object("GET", "/things")
    with pytest.raises(OutcomeUnknown) as written:
        json_object(edge.write("POST", "/things"), "Vendor")
    assert read.value.cause == written.value.cause == "unreadable_answer"


def test_an_answer_without_end_is_cut_off(vendor: respx.MockRouter) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(2**20)

    vendor.post("/things").respond(200, stream=endless())
    with pytest.raises(OutcomeUnknown) as raised:
        an_edge().write("POST", "/things")
    assert raised.value.cause == "ReadError"


def test_json_is_sent_as_it_is(vendor: respx.MockRouter, edge: HttpEdge) -> None:
    route = vendor.post("/things").respond(200)
    edge.write("POST", "/things", json={"name": "Zoë", "parts": [1, None]})
    assert route.calls[0].request.content == '{"name":"Zoë","parts":[1,null]}'.encode()
    assert route.calls[0].request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("value", [{1, 2}, timedelta(1), math.nan, "\ud800"], ids=["set", "span", "NaN", "surrogate"])
def test_what_json_cannot_carry_is_refused_and_nothing_is_sent(vendor: respx.MockRouter, edge: HttpEdge, value: object) -> None:
    route = vendor.post("/things").respond(200)
    with pytest.raises(Refused) as raised:
        edge.write("POST", "/things", json={"name": value})
    assert raised.value.cause == "unusable_value"
    assert not route.called


def test_a_redirect_is_not_followed(vendor: respx.MockRouter, edge: HttpEdge) -> None:
    elsewhere = vendor.get("/elsewhere").respond(200)
    vendor.get("/things").respond(302, headers={"Location": "https://vendor.example/elsewhere"})
    with pytest.raises(Refused):
        edge.read("GET", "/things")
    assert elsewhere.call_count == 0


# Credentials


class Credentials:
    """Numbered tokens; ``renew`` gives the next."""

    def __init__(self) -> None:
        self.number = 1

    def authorize(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.number}"}

    def renew(self) -> None:
        self.number += 1


@pytest.mark.parametrize("verb", ["read", "write"])
def test_credentials_that_are_not_accepted_are_renewed_once(vendor: respx.MockRouter, verb: str) -> None:
    credentials = Credentials()
    route = vendor.post("/things").mock(side_effect=[httpx.Response(401), httpx.Response(200, json={})])
    edge = an_edge(authorize=credentials.authorize, renew=credentials.renew)
    assert getattr(edge, verb)("POST", "/things").status_code == 200
    assert [call.request.headers["authorization"] for call in route.calls] == ["Bearer 1", "Bearer 2"]


def test_fresh_credentials_that_are_not_accepted_either_are_a_fault_of_the_settings(vendor: respx.MockRouter) -> None:
    credentials = Credentials()
    route = vendor.post("/things").respond(401)
    with pytest.raises(Misconfigured):
        an_edge(authorize=credentials.authorize, renew=credentials.renew).write("POST", "/things")
    assert route.call_count == 2
    assert credentials.number == 2


def test_a_lost_answer_after_renewal_is_unknown(vendor: respx.MockRouter) -> None:
    vendor.post("/things").mock(side_effect=[httpx.Response(401), httpx.ReadTimeout])
    with pytest.raises(OutcomeUnknown):
        an_edge(renew=lambda: None).write("POST", "/things")


@pytest.mark.parametrize("value", ["schlüssel"])
def test_a_credential_that_fits_in_no_header_is_a_fault_of_the_settings(vendor: respx.MockRouter, value: str) -> None:
    vendor.post("/things").respond(200)
    with pytest.raises(Misconfigured) as raised:
        an_edge(authorize=lambda: {"X-Api-Key": value}).write("POST", "/things")
    assert raised.value.cause == "invalid_header"
    assert value not in str(raised.value)


def test_an_address_that_cannot_be_called_is_refused(edge: HttpEdge) -> None:
    with pytest.raises(Refused) as raised:
        edge.write("POST", "https://vendor.example:port/")
    assert raised.value.cause == "invalid_url"


@pytest.mark.parametrize(
    "address",
    [
        "ftp://vendor.example/things",
        "http://vendor.example/",
        "https://vendor.example:8443/",
        "https://vendor.example.evil.example/",
    ],
)
def test_our_credentials_never_go_to_another_origin(vendor: respx.MockRouter, edge: HttpEdge, address: str) -> None:
    with pytest.raises(Refused) as raised:
        edge.read("GET", address)
    assert raised.value.cause == "foreign_address"
    assert not vendor.calls


@pytest.mark.parametrize("address", ["https://xn--a.example", "https://a..example\u00e9", "https://[::1"])
def test_an_address_that_names_no_host_is_ours_to_mend(address: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        HttpEdge(address, Dialect("Vendor"))
    assert raised.value.cause == "invalid_url"


# A vendor that does not serve


def test_a_vendor_that_does_not_serve_is_left_alone_but_a_revocation_is_tried(vendor: respx.MockRouter) -> None:
    route = vendor.post("/things").respond(500)
    edge = an_edge()
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(OutcomeUnknown):
            edge.write("POST", "/things")
    with pytest.raises(RetryLater) as raised:
        edge.write("POST", "/things")
    assert raised.value.cause == "circuit_open"
    assert route.call_count == FAILURES_TO_OPEN
    with revoking(), pytest.raises(OutcomeUnknown):
        edge.write("POST", "/things")
    assert route.call_count == FAILURES_TO_OPEN + 1


def test_calls_beyond_the_published_limit_are_not_sent(vendor: respx.MockRouter) -> None:
    route = vendor.post("/things").respond(200)
    edge = an_edge(dialect=Dialect("Vendor", budgets=(Budget(10, 60.0),)))
    for _ in range(8):
        edge.write("POST", "/things")
    with pytest.raises(RetryLater) as raised:
        edge.write("POST", "/things")
    assert raised.value.cause == "budget_spent"
    with revoking():
        edge.write("POST", "/things")
    assert route.call_count == 9


def test_what_a_vendor_says_is_left_is_kept_for_revocations(vendor: respx.MockRouter) -> None:
    route = vendor.post("/things").respond(200, headers={"X-Left": "0.1"})
    edge = an_edge(dialect=Dialect("Vendor", allowance=Allowance("calls", lambda answer: float(answer.headers["x-left"]))))
    edge.write("POST", "/things")
    with pytest.raises(RetryLater) as raised:
        edge.write("POST", "/things")
    assert raised.value.cause == "budget_spent"
    with revoking():
        edge.write("POST", "/things")
    assert route.call_count == 2


# Nothing sensitive


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500])
def test_errors_and_logs_hold_no_body_query_header_or_path(vendor: respx.MockRouter, status: int) -> None:
    vendor.post(path=f"/{CANARY}").respond(status, json={"error": CANARY}, headers={"X-Echo": CANARY})
    edge = an_edge(authorize=lambda: {"Authorization": CANARY})
    with structlog.testing.capture_logs() as logs, pytest.raises(HubError) as raised:
        edge.write("POST", f"/{CANARY}", params={"q": CANARY}, json={"name": CANARY})
    assert CANARY not in f"{raised.value} {raised.value.cause} {raised.value.field} {logs}"


@pytest.mark.parametrize("fault", [httpx.ReadTimeout, httpx.ConnectError, httpx.ReadError])
def test_transport_faults_are_shown_by_their_kind_alone(vendor: respx.MockRouter, fault: type[httpx.HTTPError]) -> None:
    vendor.post("/things").mock(side_effect=fault(CANARY))
    with pytest.raises(HubError) as raised:
        an_edge().write("POST", "/things")
    assert CANARY not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_an_unreadable_authority_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")
    for path in (file, tmp_path / "missing.pem"):
        with pytest.raises(Misconfigured) as raised:
            tls_context(path)
        assert raised.value.field == "ca_file"


# What a dialect makes of refusals, and JSON


def test_a_dialect_says_what_a_refusal_is_about_from_the_answer_and_what_was_sent(vendor: respx.MockRouter) -> None:
    def refusal(said: str, response: httpx.Response) -> HubError:
        return Refused(f"{said}: {len(response.request.content)} bytes", cause="its_own", field="name")

    vendor.post("/things").respond(409)
    with pytest.raises(Refused, match=r"Vendor: POST answered 409: Conflict: 2 bytes") as caught:
        an_edge(dialect=Dialect("Vendor", refusal=refusal)).write("POST", "/things", json={})
    assert (caught.value.cause, caught.value.field) == ("its_own", "name")


def test_an_answer_that_came_in_another_is_judged_as_one_that_came_alone() -> None:
    request = httpx.Request("PATCH", "https://vendor.example/things")
    throttled = Dialect("Vendor").error(httpx.Response(429, headers={"retry-after": "7"}, request=request))
    assert isinstance(throttled, RetryLater)
    assert throttled.after_seconds == 7.0
    assert Dialect("Vendor").error(httpx.Response(204, request=request)) is None


@pytest.mark.parametrize("content", [b'{"a": 1}', b"[]", b"null", b"7"])
def test_any_json_is_read(vendor: respx.MockRouter, edge: HttpEdge, content: bytes) -> None:
    vendor.get("/things").respond(content=content)
    assert edge.read_json("GET", "/things") in ({"a": 1}, [], None, 7)


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"a": ', b"[" * 100_000])
def test_a_read_that_is_no_json_may_be_repeated(vendor: respx.MockRouter, edge: HttpEdge, content: bytes) -> None:
    vendor.get("/things").respond(content=content)
    with pytest.raises(RetryLater) as caught:
        edge.read_json("GET", "/things")
    assert caught.value.cause == "unreadable_answer"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("1772367600", 600.0), (" 600 ", 600.0), ("3600", 3600.0)]
    + [(odd, None) for odd in (None, "", "0", "-5", "3601", "1772366999", "1772370601", "soon", "9" * 50, "\uff11", "1e3")],
)
def test_a_limit_that_begins_anew_soon_tells_how_long_to_wait(told: str | None, seconds: float | None) -> None:
    noon = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
    assert reset_seconds(told, noon, within_seconds=3600) == seconds


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("https://vendor.example/things?id=1", True),
        ("https://VENDOR.EXAMPLE:443/", True),
        ("https://vendor.example:8443/", False),
        ("http://vendor.example/", False),
        ("https://evil.example/", False),
        ("/things", False),
        ("https://xn--a", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_an_address_is_ours_by_scheme_host_and_port(edge: HttpEdge, address: str, is_ours: bool) -> None:
    assert edge.is_at(address) is is_ours
