"""The DocuSign client against its sandbox over TLS, each exchange checked against the vendor's description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from connectors.docusign.client import DocuSignClient
from connectors.docusign.sandbox import ConnectDelivery, DocuSignSandbox, deliver
from connectors.docusign.settings import DocuSignSettings
from connectors.docusign.signing import DocuSignSigning
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind, serve
from connectors.wire.tls import TlsFiles, make_loopback_tls
from tests.contract.specs import RecordingApp, VendorSpec, opened
from workforce.errors import Misconfigured, NotFound, Refused, RetryLater

pytestmark = pytest.mark.integration

UNDESCRIBED = {"/oauth/token", "/oauth/userinfo"}
DESCRIPTION = "docusign/esignature.rest.v2.1.pruned.json"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_loopback_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def sandbox() -> DocuSignSandbox:
    return DocuSignSandbox()


@pytest.fixture
def recording(sandbox: DocuSignSandbox) -> RecordingApp:
    return RecordingApp(sandbox.app)


@pytest.fixture
def base_url(recording: RecordingApp, tls: TlsFiles) -> Iterator[str]:
    with serve(recording, tls) as url:
        yield url


@pytest.fixture
def form(sandbox: DocuSignSandbox, base_url: str, tls: TlsFiles) -> dict[str, Any]:
    return {**sandbox.settings(base_url, tls.ca), "timeout_seconds": 2.0}


@pytest.fixture
def client(form: dict[str, Any]) -> Iterator[DocuSignClient]:
    client = opened(DocuSignClient(DocuSignSettings.model_validate(form), ON_LOOPBACK))
    yield client
    client.close()


@pytest.fixture
def signing(client: DocuSignClient) -> DocuSignSigning:
    return DocuSignSigning(client)


@pytest.fixture
def envelope_id(sandbox: DocuSignSandbox) -> str:
    return sandbox.create_envelope("WO-1", "Ada Lovelace", "ada@mail.example")


def work_order(values: Any) -> str | None:
    fields = values["customFields"]["textCustomFields"]
    return next((field["value"] for field in fields if field["name"] == "stint_work_order"), None)


def api_answers(recording: RecordingApp, status: int) -> int:
    return sum(1 for e in recording.exchanges if e.path not in UNDESCRIBED and e.status == status)


def test_every_exchange_is_as_the_vendor_describes_it(
    sandbox: DocuSignSandbox, recording: RecordingApp, client: DocuSignClient, signing: DocuSignSigning, envelope_id: str
) -> None:
    assert client.check().ok
    signing.status(envelope_id)
    sandbox.complete(envelope_id)
    signing.status(envelope_id)
    assert signing.documents(envelope_id).startswith(b"%PDF-")
    with pytest.raises(Refused) as raised:
        signing.void(envelope_id, "too late")
    assert raised.value.cause == "completed"
    signing.void(sandbox.create_envelope("WO-2", "Grace Hopper", "grace@mail.example"), "withdrawn")
    with pytest.raises(NotFound):
        signing.status(str(uuid4()))
    sandbox.hourly_limit = 1
    with pytest.raises(RetryLater):
        signing.status(envelope_id)
    spec = VendorSpec.load(DESCRIPTION, prefix="/restapi")
    described = [e for e in recording.exchanges if e.path not in UNDESCRIBED and not e.path.endswith("/documents/combined")]
    assert len(described) == 9
    for exchange in described:
        spec.check(exchange)
    (document,) = [e for e in recording.exchanges if e.path.endswith("/documents/combined")]
    assert spec.operation(document)["produces"] == [document.response_headers["content-type"]]


def test_a_connect_message_has_the_fields_of_the_vendors_example(sandbox: DocuSignSandbox, envelope_id: str) -> None:
    VendorSpec.load(DESCRIPTION)  # skips where the vendor's files are absent
    example = json.loads(
        (Path(__file__).resolve().parents[3] / "shared/vendor-specs/docusign/connect.schema-v2.json").read_text()
    )
    message = json.loads(sandbox.complete(envelope_id).body)
    assert set(message) <= set(example)
    assert set(message["data"]) <= set(example["data"])
    assert set(message["data"]["envelopeSummary"]) <= set(example["data"]["envelopeSummary"])


def test_a_signed_envelope_shows_its_work_order_and_when_it_was_completed(
    sandbox: DocuSignSandbox, signing: DocuSignSigning, envelope_id: str
) -> None:
    sent = signing.status(envelope_id)
    sandbox.complete(envelope_id)
    completed = signing.status(envelope_id)
    assert completed.external_id == envelope_id
    assert completed.version > sent.version
    assert completed.values["status"] == "completed"
    assert completed.values["completedDateTime"]
    assert work_order(completed.values) == "WO-1"


def test_the_accounts_own_name_for_the_work_order_is_translated(sandbox: DocuSignSandbox, form: dict[str, Any]) -> None:
    client = opened(DocuSignClient(DocuSignSettings.model_validate({**form, "work_order_field": "PO number"}), ON_LOOPBACK))
    envelope_id = sandbox.create_envelope("WO-9", "Ada Lovelace", "ada@mail.example", work_order_field="PO number")
    assert work_order(DocuSignSigning(client).status(envelope_id).values) == "WO-9"
    client.close()


def test_many_threads_sign_in_once(sandbox: DocuSignSandbox, signing: DocuSignSigning, envelope_id: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: signing.status(envelope_id), range(16)))
    assert sandbox.tokens_issued == 1


def test_many_threads_whose_token_is_rejected_renew_it_once(
    sandbox: DocuSignSandbox, signing: DocuSignSigning, envelope_id: str
) -> None:
    signing.status(envelope_id)
    sandbox.expire_tokens()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: signing.status(envelope_id), range(16)))
    assert sandbox.tokens_issued == 2


def test_a_token_is_replaced_five_minutes_before_it_expires(
    sandbox: DocuSignSandbox, form: dict[str, Any], envelope_id: str
) -> None:
    ahead = timedelta(0)
    client = opened(DocuSignClient(DocuSignSettings.model_validate(form), ON_LOOPBACK, now=lambda: datetime.now(UTC) + ahead))
    client.envelope(envelope_id)
    ahead = timedelta(seconds=3200)
    client.envelope(envelope_id)
    assert sandbox.tokens_issued == 1
    ahead = timedelta(seconds=3301)
    with pytest.raises(Misconfigured):  # the sandbox's clock has not moved: an assertion from the future is no good
        client.envelope(envelope_id)
    client.close()


def test_a_user_who_has_not_consented_is_told_the_next_step(sandbox: DocuSignSandbox, client: DocuSignClient) -> None:
    sandbox.consented = False
    result = client.check()
    assert not result.ok
    assert "oauth/auth?response_type=code&scope=signature%20impersonation" in result.detail


@pytest.mark.parametrize("field", ["integration_key", "user_id"])
def test_a_wrong_identity_gets_no_token(form: dict[str, Any], field: str) -> None:
    client = opened(DocuSignClient(DocuSignSettings.model_validate({**form, field: str(uuid4())}), ON_LOOPBACK))
    with pytest.raises(Misconfigured) as raised:
        client.envelope("any")
    assert raised.value.cause == "token_refused"
    client.close()


def test_a_key_that_is_not_registered_gets_no_token(form: dict[str, Any]) -> None:
    other = DocuSignSandbox().settings("https://localhost", Path("ca.pem"))["private_key"]
    client = opened(DocuSignClient(DocuSignSettings.model_validate({**form, "private_key": other}), ON_LOOPBACK))
    assert "invalid_grant" in client.check().detail
    client.close()


def test_an_account_that_the_user_does_not_have_is_named(form: dict[str, Any]) -> None:
    client = opened(DocuSignClient(DocuSignSettings.model_validate({**form, "account_id": str(uuid4())}), ON_LOOPBACK))
    with pytest.raises(Misconfigured) as raised:
        client.envelope("any")
    assert raised.value.field == "account_id"
    client.close()


def test_the_hourly_limit_is_waited_out_and_not_tried_again(
    sandbox: DocuSignSandbox, recording: RecordingApp, signing: DocuSignSigning, envelope_id: str
) -> None:
    sandbox.hourly_limit = 1
    signing.status(envelope_id)
    with pytest.raises(RetryLater) as raised:
        signing.status(envelope_id)
    assert raised.value.cause == "throttled"
    assert raised.value.after_seconds is not None
    assert 0 < raised.value.after_seconds <= 3600
    assert api_answers(recording, 400) <= 2  # a second call only where the hour ends within seconds


def test_the_polling_guard_is_waited_out_and_not_tried_again(
    sandbox: DocuSignSandbox, recording: RecordingApp, signing: DocuSignSigning, envelope_id: str
) -> None:
    sandbox.polling_limit = 1
    signing.status(envelope_id)
    with pytest.raises(RetryLater) as raised:
        signing.status(envelope_id)
    assert raised.value.after_seconds == 900
    assert api_answers(recording, 400) == 1


def test_a_read_survives_a_vendor_that_stumbles(sandbox: DocuSignSandbox, signing: DocuSignSigning, envelope_id: str) -> None:
    for kind in (FaultKind.UNAVAILABLE_BEFORE, FaultKind.THROTTLED_BEFORE, FaultKind.ERROR_AFTER):
        sandbox.faults.plan(Fault(kind, "GET", f"/envelopes/{envelope_id}$"))
    assert signing.status(envelope_id).values["status"] == "sent"


def test_a_token_that_cannot_be_had_leaves_a_write_undone_and_not_unknown(
    sandbox: DocuSignSandbox, signing: DocuSignSigning, envelope_id: str
) -> None:
    signing.status(envelope_id)
    sandbox.expire_tokens()
    sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", "/oauth/token"))
    with pytest.raises(RetryLater):
        signing.void(envelope_id, "withdrawn")
    assert sandbox.effects.count("void_envelope") == 0


def test_a_throttled_void_was_not_done(sandbox: DocuSignSandbox, signing: DocuSignSigning, envelope_id: str) -> None:
    sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "PUT", "/envelopes/"))
    with pytest.raises(RetryLater):
        signing.void(envelope_id, "withdrawn")
    assert sandbox.effects.count("void_envelope") == 0


def test_an_envelope_id_cannot_reach_another_resource(recording: RecordingApp, signing: DocuSignSigning) -> None:
    with pytest.raises(NotFound):
        signing.status("../../../oauth/userinfo?")
    assert {exchange.path for exchange in recording.exchanges} <= UNDESCRIBED  # the sign-in alone


def test_a_delivery_is_posted_as_it_was_signed(sandbox: DocuSignSandbox, envelope_id: str, tls: TlsFiles) -> None:
    delivery = sandbox.complete(envelope_id)
    arrived: list[ConnectDelivery] = []

    async def receiver(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        arrived.append(ConnectDelivery({k.decode(): v.decode() for k, v in scope["headers"]}, body))
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with serve(receiver, tls) as url:
        assert deliver(delivery, url, ca_file=tls.ca) == 202
    assert arrived[0].body == delivery.body
    assert arrived[0].headers["x-docusign-signature-2"] == delivery.headers["X-DocuSign-Signature-2"]


def test_an_envelope_is_completed_once(sandbox: DocuSignSandbox, envelope_id: str) -> None:
    sandbox.complete(envelope_id)
    with pytest.raises(ValueError, match="already completed"):
        sandbox.complete(envelope_id)
    assert sandbox.effects.count("complete_envelope", envelope_id) == 1
