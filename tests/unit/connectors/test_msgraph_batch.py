"""Graph's ``$batch``: each part has an outcome of its own, whatever becomes of the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Dialect
from connectors.msgraph.answers import reason, refusal, verdict
from connectors.msgraph.client import MsGraphClient
from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.settings import MsGraphSettings
from connectors.protocols.odata import Batch, Part
from tests.unit.connectors.graph import FORM, GRAPH, give_tokens
from workforce.errors import HubError, NotFound, OutcomeUnknown, Refused, RetryLater

Answered = Callable[[dict[str, object]], dict[str, object] | None]


def an_id(n: int) -> str:
    return str(UUID(int=n))


def parts(n: int, method: str = "PATCH") -> list[Part]:
    return [
        Part(str(i), method, f"/users/{an_id(i)}", {"accountEnabled": False} if method == "PATCH" else None) for i in range(n)
    ]


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept += [seconds] if seconds else []
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


class FakeGraph:
    """Answers the parts of each batch by ``answer``, in reverse; ``None`` leaves one without an answer."""

    def __init__(
        self, router: respx.MockRouter, answer: Answered, outer: Sequence[httpx.Response | Exception | None] = ()
    ) -> None:
        self.sent: list[list[str]] = []
        self._answer, self._outer = answer, list(outer)
        give_tokens(router)
        router.post(f"{GRAPH}/$batch").mock(side_effect=self._batch)

    def _batch(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["requests"]
        self.sent.append([part["id"] for part in asked])
        instead = self._outer.pop(0) if self._outer else None
        if isinstance(instead, Exception):
            raise instead
        answers = [{"id": part["id"], **answer} for part in reversed(asked) if (answer := self._answer(part)) is not None]
        return instead or httpx.Response(200, json={"responses": answers})


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as mock:
        yield mock


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def a_batch(time: FakeTime) -> Batch:
    dialect = Dialect("msgraph", verdict, reason, refusal=refusal)
    return Batch(MsGraphClient(MsGraphSettings(**FORM)), dialect, GRAPH, size=20, sleep=time.sleep, monotonic=time.monotonic)


def done(_part: dict[str, object]) -> dict[str, object]:
    return {"status": 204}


def kinds(outcomes: dict[str, httpx.Response | HubError]) -> dict[str, type]:
    return {key: type(outcome) for key, outcome in outcomes.items()}


def test_a_batch_has_at_most_20_parts_and_answers_in_any_order_find_theirs(router: respx.MockRouter, time: FakeTime) -> None:
    graph = FakeGraph(router, lambda part: {"status": 200, "body": {"id": part["id"]}})
    outcomes = a_batch(time).write(parts(45))
    assert [len(sent) for sent in graph.sent] == [20, 20, 5]
    assert all(isinstance(outcome, httpx.Response) and outcome.json() == {"id": key} for key, outcome in outcomes.items())


def test_a_body_is_sent_with_its_type(router: respx.MockRouter, time: FakeTime) -> None:
    seen: list[dict[str, object]] = []
    FakeGraph(router, lambda part: seen.append(part) or {"status": 204})  # type: ignore[func-returns-value]
    a_batch(time).write([*parts(1), Part("x", "POST", "/users/1/revokeSignInSessions")])
    by_id = {part["id"]: part for part in seen}
    assert by_id["0"]["headers"] == {"Content-Type": "application/json"}
    assert set(by_id["x"]) == {"id", "method", "url"}


def test_a_throttled_part_alone_is_sent_again_after_its_own_retry_after(router: respx.MockRouter, time: FakeTime) -> None:
    waits = {"1": ["5"], "2": ["2", "2"]}

    def answer(part: dict[str, object]) -> dict[str, object]:
        left = waits.get(str(part["id"]))
        return {"status": 429, "headers": {"Retry-After": left.pop(0)}} if left else {"status": 204}

    graph = FakeGraph(router, answer)
    outcomes = a_batch(time).write(parts(4))
    assert graph.sent == [["0", "1", "2", "3"], ["2"], ["2"], ["1"]]
    assert time.slept == [2.0, 2.0, 1.0]
    assert set(kinds(outcomes).values()) == {httpx.Response}


def test_a_part_that_has_to_wait_for_long_goes_back_to_the_queue_with_its_seconds(
    router: respx.MockRouter, time: FakeTime
) -> None:
    graph = FakeGraph(
        router, lambda part: {"status": 429, "headers": {"retry-after": "120"}} if part["id"] == "1" else done(part)
    )
    outcomes = a_batch(time).write(parts(3))
    late = outcomes["1"]
    assert isinstance(late, RetryLater)
    assert (late.cause, late.after_seconds, time.slept, len(graph.sent)) == ("throttled", 120.0, [], 1)


def test_a_part_that_is_throttled_for_ever_is_given_up(router: respx.MockRouter, time: FakeTime) -> None:
    graph = FakeGraph(router, lambda part: {"status": 429})
    assert kinds(a_batch(time).write(parts(1))) == {"0": RetryLater}
    assert (len(graph.sent), time.slept) == (4, [1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 503}, OutcomeUnknown),
        ({"status": 500, "body": "<html>"}, OutcomeUnknown),
        ({"status": 504, "body": {"error": "?"}}, OutcomeUnknown),
        ({"status": "broken"}, OutcomeUnknown),
        ({}, OutcomeUnknown),
        (None, OutcomeUnknown),
        ({"status": 403}, Refused),
        ({"status": 404}, NotFound),
        ({"status": 424, "headers": {"Content-Encoding": "gzip"}}, Refused),
        ({"status": 403, "headers": {"Retry-After": "\u2603"}}, Refused),
    ],
)
def test_what_becomes_of_one_part_is_its_own(
    router: respx.MockRouter, time: FakeTime, answer: dict[str, object] | None, kind: type[HubError]
) -> None:
    graph = FakeGraph(router, lambda part: answer if part["id"] == "1" else done(part))
    outcomes = a_batch(time).write(parts(3))
    assert kinds(outcomes) == {"0": httpx.Response, "1": kind, "2": httpx.Response}
    assert len(graph.sent) == 1


@pytest.mark.parametrize(
    "outer",
    [
        httpx.ReadTimeout("lost"),
        httpx.Response(500),
        httpx.Response(200, content=b'{"responses": [{"id"'),
        httpx.Response(200, html="<p>Welcome</p>"),
        httpx.Response(200, json={}),
    ],
)
def test_a_lost_answer_to_a_batch_leaves_its_own_parts_unknown_and_no_others(
    router: respx.MockRouter, time: FakeTime, outer: httpx.Response | Exception
) -> None:
    graph = FakeGraph(router, done, [None, outer])
    outcomes = kinds(a_batch(time).write(parts(45)))
    assert [key for key, kind in outcomes.items() if kind is OutcomeUnknown] == [str(n) for n in range(20, 40)]
    assert Counter(key for sent in graph.sent for key in sent).most_common(1)[0][1] == 1


def test_a_read_is_asked_again_and_is_never_unknown(router: respx.MockRouter, time: FakeTime) -> None:
    sick = ["0", "0"]
    graph = FakeGraph(router, lambda part: {"status": 503} if sick and sick.pop() else None)
    assert kinds(a_batch(time).read(parts(1, "GET"))) == {"0": RetryLater}
    assert len(graph.sent) == 4


CHOICES = st.sampled_from([204, 204, 403, 404, 429, 500, 503, None])


@given(st.lists(st.lists(CHOICES, min_size=1, max_size=5), max_size=50))
def test_no_write_is_repeated_unless_graph_said_that_it_was_not_done(plan: list[list[int | None]]) -> None:
    told: dict[str, list[int | None]] = {str(n): [] for n in range(len(plan))}

    def answer(part: dict[str, object]) -> dict[str, object] | None:
        key = str(part["id"])
        status = plan[int(key)][min(len(told[key]), len(plan[int(key)]) - 1)]
        told[key].append(status)
        return None if status is None else {"status": status, "headers": {"Retry-After": "1"} if status == 429 else {}}

    with respx.mock(assert_all_called=False) as router:
        FakeGraph(router, answer)
        outcomes = kinds(a_batch(FakeTime()).write(parts(len(plan))))
    expected = {
        204: httpx.Response,
        403: Refused,
        404: NotFound,
        429: RetryLater,
        500: OutcomeUnknown,
        503: OutcomeUnknown,
        None: OutcomeUnknown,
    }
    for key, statuses in told.items():
        assert all(status == 429 for status in statuses[:-1])
        assert outcomes[key] is expected[statuses[-1]]


def test_protected_accounts_are_never_among_the_writes(router: respx.MockRouter) -> None:
    ours, listed, employee, gone, lost, admin = (an_id(n) for n in range(6))
    role = {"@odata.type": "#microsoft.graph.directoryRole", "id": an_id(9)}
    marked = {"userPrincipalName": "x@client.example", "accountEnabled": True, "employeeId": "ST0123456789ABC"}

    def answer(part: dict[str, object]) -> dict[str, object] | None:
        key = str(part["id"])
        if part["method"] != "GET":
            return done(part)
        if str(part["url"]).partition("?")[0].endswith("/memberOf"):
            return {"status": 200, "body": {"value": [role] if key == admin else []}}
        if key in {gone, lost}:
            return {"status": 404} if key == gone else {"status": 200, "body": {"id": key}}
        return {"status": 200, "body": {**marked, "id": key, **({"employeeId": "4711"} if key == employee else {})}}

    graph = FakeGraph(router, answer)
    directory = MsGraphDirectory(MsGraphClient(MsGraphSettings(**FORM, protected_user_ids=[listed])))
    outcomes = directory.block_all([ours, listed, employee, gone, lost, admin, "../../users"])
    causes = {key: error.cause if error else None for key, error in outcomes.items()}
    assert causes == {
        ours: None,
        listed: "protected_account",
        employee: "protected_account",
        gone: "not_found",
        lost: "unusable_content",
        admin: "protected_account",
        "../../users": "not_found",
    }
    assert graph.sent == [[ours, listed, employee, gone, lost, admin], [ours, listed, admin], [ours], [ours]]


def test_the_first_of_many_are_blocked_before_the_last_are_read_and_signed_out_last(router: respx.MockRouter) -> None:
    done_so_far: list[str] = []

    def answer(part: dict[str, object]) -> dict[str, object]:
        kind = str(part["url"]).partition("?")[0].rpartition("/")[2]
        done_so_far.append(f"{part['method']} {kind}" if kind in {"memberOf", "revokeSignInSessions"} else str(part["method"]))
        marked = {"id": part["id"], "userPrincipalName": "x@client.example", "employeeId": "ST0123456789ABC"}
        return {"status": 200, "body": {"value": []} if kind == "memberOf" else marked}

    FakeGraph(router, answer)
    ids = [an_id(n) for n in range(250)]
    assert MsGraphDirectory(MsGraphClient(MsGraphSettings(**FORM))).block_all(ids) == dict.fromkeys(ids)
    assert done_so_far.index("PATCH") == 200
    assert done_so_far[-250:] == ["POST revokeSignInSessions"] * 250
    assert done_so_far.count("PATCH") == 250


def test_nobody_to_block_is_no_call(router: respx.MockRouter) -> None:
    graph = FakeGraph(router, done)
    assert MsGraphDirectory(MsGraphClient(MsGraphSettings(**FORM))).block_all([]) == {}
    assert graph.sent == []
