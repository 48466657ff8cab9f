"""Whatever Greenhouse answers, one of the four errors leaves the connector, or a record does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.greenhouse.client import GreenhouseClient
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.greenhouse.source import GreenhouseSource
from workforce.errors import HubError, RetryLater

FORM = {"client_id": "client", "client_secret": "hush-hush"}
API = "https://harvest.greenhouse.io/v3"
SINCE = "2026-03-02T12:00:00.000Z"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "value", "name"]), inner, max_size=3),
    max_leaves=8,
)


def an_application(**fields: object) -> dict[str, object]:
    return {"id": 7, "updated_at": SINCE, "candidate_id": 1, "job_id": None, "status": "hired", **fields}


def a_source(**form: object) -> GreenhouseSource:
    return GreenhouseSource(GreenhouseClient(GreenhouseSettings.model_validate({**FORM, **form})))


@pytest.fixture
def greenhouse() -> Iterator[respx.MockRouter]:
    with router() as mock:
        yield mock


def router() -> respx.MockRouter:
    mock = respx.mock(assert_all_called=False)
    mock.post("https://auth.greenhouse.io/token").respond(json={"access_token": "t", "expires_in": 3600})
    for name in ("candidates", "offers", "jobs", "openings"):
        mock.get(url__startswith=f"{API}/{name}").respond(json=[])
    return mock


@given(json_values)
def test_a_hire_with_odd_custom_fields_is_told_or_left_alone(custom_fields: object) -> None:
    with router() as greenhouse:
        greenhouse.get(url__startswith=f"{API}/applications").respond(json=[an_application(custom_fields=custom_fields)])
        page = a_source(contractor_field="kind", contractor_values=["Contractor"]).changes(None)
    assert page.complete
    assert [record.external_id for record in page.records] in ([], ["7"])


@pytest.mark.parametrize(
    "date", ["Mon, 99999999999999999999 Jan 2026 00:00:00 GMT", "Mon, 02 Jan 2026 00:00:00 +99999999999999999999", "soon", ""]
)
def test_an_odd_date_of_an_answer_is_not_relied_upon(greenhouse: respx.MockRouter, date: str) -> None:
    greenhouse.get(url__startswith=f"{API}/applications").respond(json=[an_application()], headers={"date": date})
    assert [record.external_id for record in a_source().changes(None).records] == ["7"]


@pytest.mark.parametrize("updated_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-02T12:00:00", None])
def test_an_instant_that_cannot_be_is_no_answer(greenhouse: respx.MockRouter, updated_at: object) -> None:
    greenhouse.get(url__startswith=f"{API}/applications").respond(json=[an_application(updated_at=updated_at)])
    with pytest.raises(RetryLater, match="updated_at"):
        a_source().changes(None)


@pytest.mark.parametrize("depth", [*range(700, 1000, 7), 100_000])
def test_content_however_deep_is_told_or_no_answer(greenhouse: respx.MockRouter, depth: int) -> None:
    odd = json.dumps([an_application(answers="here")]).replace('"here"', "[" * depth + "]" * depth)
    greenhouse.get(url__startswith=f"{API}/applications").respond(content=odd.encode())
    try:
        assert [record.external_id for record in a_source().changes(None).records] == ["7"]
    except HubError as error:
        assert error.cause == "unreadable_answer"  # noqa: PT017 - either is right


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_page_cursor_that_is_refused_starts_the_list_again_however_it_is_said(
    greenhouse: respx.MockRouter, status: int
) -> None:
    link = {"link": f'<{API}/applications?cursor=old>; rel="next"'}
    applications = greenhouse.get(url__startswith=f"{API}/applications")
    applications.side_effect = [
        httpx.Response(200, json=[an_application()], headers=link),
        httpx.Response(status, json={"message": "?"}),
        httpx.Response(200, json=[an_application(), an_application(id=8)]),
    ]
    source = a_source()
    page = source.changes(None)
    assert [record.external_id for record in source.changes(page.cursor).records] == ["8"]


@pytest.mark.parametrize(
    "wrong", [{"contractor_field": "kind"}, {"client_secert": "hush-hush"}, {"webhook_secrets": {"hush-hush": 1}}]
)
def test_a_form_that_is_refused_quotes_no_secret(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        GreenhouseSettings.model_validate({**FORM, **wrong})
    assert "hush" not in str(caught.value)


def test_an_empty_webhook_secret_which_anybody_could_sign_with_is_refused() -> None:
    with pytest.raises(ValidationError, match="webhook_secrets"):
        GreenhouseSettings.model_validate({**FORM, "webhook_secrets": [""]})
