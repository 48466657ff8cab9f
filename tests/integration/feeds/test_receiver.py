"""The web application on the real ledger: what it stores, what it refuses, and what it answers when the database is away."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import REGISTRY
from starlette.types import Message

from config.hub import Hub
from config.secrets import SecretStore
from config.settings import Settings
from connectors.docusign.sandbox import ConnectDelivery, DocuSignSandbox
from connectors.gusto.sandbox import VERIFICATION_TOKEN
from connectors.gusto.webhooks import SCHEME as GUSTO
from connectors.gusto.webhooks import SIGNATURE as GUSTO_SIGNATURE
from connectors.suite.sandbox import serve
from connectors.webhooks import sign
from console.api import api_routes
from console.app import build_app
from console.credential_page import credential_routes
from console.receiver import receiver_routes
from ledger import documents, tenants
from ledger.database import Database
from ledger.migrate import upgrade
from ledger.postgres.embedded import EmbeddedPostgres
from ledger.queueing import queue
from ledger.queueing.queue import Lane
from ledger.trail import audit
from tests.integration.ledger_cases import stored_engagement
from tests.tenant_documents import as_files, tenant_content
from workforce.errors import RetryLater
from workforce.events import HUB

pytestmark = pytest.mark.integration

TOKEN = "a-token-for-the-tests-alone"
CAP = 64 * 1024
SIGNATURE_HEADERS = "x-docusign-signature-"
HOOK = "/v1/hooks/acme/docusign"
AT_ONCE = 50
MUTATIONS = 2_000
SIGNED_RUBBISH = 500
PATIENCE = 60  # deliveries, each of which waits half a second for a connection


def a_hub(database: Database, folder: Path) -> Hub:
    return Hub(Settings(data_dir=folder), database, SecretStore(folder))


def configure(database: Database, docusign: DocuSignSandbox, secrets: Path, tenant: str = "acme") -> None:
    """Apply the documents of a company that signs with ``docusign``."""
    content = tenant_content(docusign, secrets / tenant)
    content["tenant.yaml"]["tenant"] = tenant
    with database.system() as tx:
        tenants.create(tx, tenant)
    with database.transaction(tenant) as tx:
        documents.apply(tx, as_files(content), HUB)


@pytest.fixture(scope="module")
def docusign() -> DocuSignSandbox:
    return DocuSignSandbox()


@pytest.fixture
def hub(database: Database, docusign: DocuSignSandbox, tmp_path: Path) -> Hub:
    configure(database, docusign, tmp_path)
    return a_hub(database, tmp_path)


@pytest.fixture
def app(hub: Hub) -> FastAPI:
    return build_app(lambda: hub, api_token=TOKEN, max_body_bytes=CAP)


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx.Client]:
    with serve(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def delivery(docusign: DocuSignSandbox) -> ConnectDelivery:
    return docusign.complete(docusign.create_envelope("WO-1", "Ada Lovelace", "ada@mail.example"))


def deliver(client: httpx.Client, delivery: ConnectDelivery, path: str = HOOK) -> httpx.Response:
    return client.post(path, content=delivery.body, headers=dict(delivery.headers))


def stored(database: Database, tenant: str = "acme") -> list[dict[str, Any]]:
    with database.transaction(tenant) as tx:
        return tx.all("SELECT event_id, source, external_id, kind, subject_id, body, state, cause FROM inbox ORDER BY event_id")


def audited(database: Database, action: str) -> list[dict[str, Any]]:
    with database.transaction("acme") as tx:
        return [dict(entry.event) for entry in audit.entries(tx) if entry.event["action"] == action]


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("stint_webhooks_total", {"outcome": outcome}) or 0.0


def signed_by_gusto(event: Mapping[str, object]) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(event).encode()
    return body, {GUSTO_SIGNATURE: sign(GUSTO, VERIFICATION_TOKEN.encode(), {}, body)}


# What is accepted


def test_a_signed_delivery_is_stored_with_its_job_and_its_audit_row(
    client: httpx.Client, database: Database, delivery: ConnectDelivery
) -> None:
    answer = deliver(client, delivery)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    (event,) = stored(database)
    message = json.loads(delivery.body)
    assert (event["source"], event["kind"], event["state"]) == ("docusign", "envelope-completed", "received")
    assert (event["subject_id"], bytes(event["body"])) == (message["data"]["envelopeId"], delivery.body)
    assert queue.depth(database) == {Lane.REVOKE: 0, Lane.SYNC: 1, Lane.BULK: 0}
    (note,) = audited(database, "event.received")
    assert note["target"]["id"] == str(event["event_id"])
    assert note["actor"] == {"type": "service", "id": "docusign", "auth": "hmac"}


def test_a_delivery_that_comes_fifty_times_at_once_is_stored_once(
    client: httpx.Client, database: Database, delivery: ConnectDelivery
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: deliver(client, delivery), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["outcome"] for answer in answers) == ["accepted"] + ["duplicate"] * (AT_ONCE - 1)
    assert len(stored(database)) == len(audited(database, "event.received")) == 1
    assert queue.depth(database)[Lane.SYNC] == 1


def test_either_of_two_active_keys_is_enough(client: httpx.Client, delivery: ConnectDelivery) -> None:
    headers = {name: value for name, value in delivery.headers.items() if not name.endswith("-1")}
    assert deliver(client, ConnectDelivery(headers, delivery.body)).status_code == 200


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b'{"event": 5}', b"\xff\xfe", b"[" * 20_000, b'{"a": NaN}'])
def test_an_authentic_body_that_cannot_be_used_is_stored_parked_and_acknowledged(
    client: httpx.Client, database: Database, docusign: DocuSignSandbox, body: bytes
) -> None:
    for _ in range(2):
        answer = deliver(client, docusign.sign(body))
        assert (answer.status_code, answer.json()["outcome"]) == (202, "parked")
    (event,) = stored(database)
    assert (event["state"], bytes(event["body"])) == ("parked", body)
    (failure,) = client.get("/v1/tenants/acme/failures", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert (failure["cause"], failure["subject"]) == (event["cause"], f"event:{event['event_id']}")
    assert queue.depth(database)[Lane.SYNC] == 0


def test_a_message_about_another_account_is_parked_with_its_cause(
    client: httpx.Client, database: Database, docusign: DocuSignSandbox, delivery: ConnectDelivery
) -> None:
    message = json.loads(delivery.body)
    message["data"]["accountId"] = str(uuid4())
    assert deliver(client, docusign.sign(json.dumps(message).encode())).status_code == 202
    assert stored(database)[0]["cause"] == "wrong_account"


def test_an_id_that_no_database_holds_is_parked(client: httpx.Client, database: Database) -> None:
    body, headers = signed_by_gusto({"uuid": "e-1", "event_type": "contractor.updated", "entity_uuid": "c\0"})
    assert client.post("/v1/hooks/acme/gusto", content=body, headers=headers).status_code == 202
    assert stored(database)[0]["cause"] == "unusable_content"  # the connector itself looks; where one does not, the ledger does


def test_every_system_that_sends_webhooks_has_an_address(client: httpx.Client, database: Database) -> None:
    body, headers = signed_by_gusto({"uuid": "e-1", "event_type": "contractor.updated", "entity_uuid": "c-1"})
    assert client.post("/v1/hooks/acme/gusto", content=body, headers=headers).status_code == 200
    assert stored(database)[0]["source"] == "gusto"


def test_authentic_rubbish_is_never_a_server_error(app: FastAPI, docusign: DocuSignSandbox, delivery: ConnectDelivery) -> None:
    source = random.Random(7)  # noqa: S311 - repeatable, not secret
    deliveries = [docusign.sign(_mutated_bytes(source, delivery.body)) for _ in range(SIGNED_RUBBISH)]
    answers = asyncio.run(_answers(app, [(d.body, d.headers) for d in deliveries]))
    assert set(answers) <= {200, 202}


# What is refused


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, "missing_signature"),
        ({"X-DocuSign-Signature-1": "AAAA"}, "bad_signature"),
        ({"X-DocuSign-Signature-1": ""}, "bad_signature"),
        ({"X-DocuSign-Signature-1": "\x7f%%%not base 64%%%"}, "bad_signature"),
        ({f"X-DocuSign-Signature-{n}": "AAAA" for n in range(1, 18)}, "malformed_signature"),
    ],
)
def test_without_a_right_signature_nothing_is_stored_but_it_is_counted(
    client: httpx.Client, database: Database, delivery: ConnectDelivery, headers: dict[str, str], outcome: str
) -> None:
    before = counted(outcome)
    answer = client.post(HOOK, content=delivery.body, headers=headers)
    assert (answer.status_code, answer.json()["outcome"]) == (401, outcome)
    assert counted(outcome) == before + 1
    assert f'stint_webhooks_total{{outcome="{outcome}"}}' in client.get("/metrics").text
    assert stored(database) == []
    assert queue.depth(database)[Lane.SYNC] == 0


def test_a_right_signature_of_another_body_is_wrong(client: httpx.Client, database: Database, delivery: ConnectDelivery) -> None:
    assert deliver(client, ConnectDelivery(delivery.headers, delivery.body + b" ")).status_code == 401
    assert stored(database) == []


def test_a_delivery_for_one_company_is_not_accepted_for_another(
    client: httpx.Client, database: Database, delivery: ConnectDelivery, tmp_path: Path
) -> None:
    configure(database, DocuSignSandbox(), tmp_path, "globex")
    assert deliver(client, delivery, "/v1/hooks/globex/docusign").status_code == 401
    assert stored(database, "globex") == []


@pytest.mark.parametrize(
    "path", ["nobody/docusign", "acme/okta", "acme/ldap", "acme/entra", "acme/fieldglass", "acme%00/docusign", "acme/docusign%00"]
)
def test_an_address_that_takes_no_webhooks_is_not_found(client: httpx.Client, delivery: ConnectDelivery, path: str) -> None:
    answer = deliver(client, delivery, f"/v1/hooks/{path}")
    assert (answer.status_code, answer.json()["outcome"]) == (404, "unknown")


def test_a_company_whose_documents_are_missing_is_asked_to_wait(
    client: httpx.Client, database: Database, delivery: ConnectDelivery
) -> None:
    with database.system() as tx:
        tenants.create(tx, "initech")
    answer = deliver(client, delivery, "/v1/hooks/initech/docusign")
    assert (answer.status_code, answer.json()["outcome"], answer.headers["Retry-After"]) == (503, "tenant_faulty", "5")


def test_a_body_over_the_cap_is_refused_before_its_signature_matters(
    client: httpx.Client, database: Database, docusign: DocuSignSandbox
) -> None:
    assert deliver(client, docusign.sign(b"x" * CAP)).status_code == 202
    assert deliver(client, docusign.sign(b"x" * (CAP + 1))).status_code == 413
    assert len(stored(database)) == 1


@pytest.mark.parametrize("declared", ["65537", "9" * 5_000])
def test_a_declared_length_over_the_cap_is_refused_unread(app: FastAPI, declared: str) -> None:
    chunks = iter([b"x"])
    assert asyncio.run(_answer(app, chunks, {"content-length": declared})) == 413
    assert list(chunks) == [b"x"]


@pytest.mark.parametrize("declared", ["", "1", "-1", "\xb2"])
def test_a_stream_is_cut_at_the_cap_whatever_its_declared_length(app: FastAPI, declared: str) -> None:
    chunks = iter([b"x" * 1024] * 1_000)
    assert asyncio.run(_answer(app, chunks, {"content-length": declared})) == 413
    assert len(list(chunks)) == 1_000 - CAP // 1024 - 1


def test_no_mutation_of_body_or_headers_is_accepted(app: FastAPI, database: Database, delivery: ConnectDelivery) -> None:
    source = random.Random(20_261_121)  # noqa: S311 - repeatable, not secret
    forged = [_forged(source, delivery) for _ in range(MUTATIONS)]
    assert set(asyncio.run(_answers(app, forged))) == {401}
    assert stored(database) == []
    assert asyncio.run(_answers(app, [(delivery.body, delivery.headers)])) == [200]


# When the database is away


@dataclass
class Outage:
    """A receiver on a database server of its own, which can be stopped."""

    server: EmbeddedPostgres
    client: httpx.Client


@pytest.fixture
def outage(docusign: DocuSignSandbox, tmp_path: Path) -> Iterator[Outage]:
    with tempfile.TemporaryDirectory(prefix="stint-pg-") as folder, EmbeddedPostgres(Path(folder)) as server:
        dsn = server.dsn("stint")
        upgrade(dsn)
        database = Database(dsn, wait_seconds=0.5)
        database.open()
        configure(database, docusign, tmp_path)
        hub = a_hub(database, tmp_path)
        app = build_app(lambda: hub, api_token=TOKEN, max_body_bytes=CAP)
        with serve(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            yield Outage(server, client)
        database.close()


def test_while_the_database_is_away_senders_are_asked_to_come_back_and_then_it_recovers(
    outage: Outage, delivery: ConnectDelivery
) -> None:
    assert outage.client.get("/readyz").status_code == 200
    outage.server.stop()
    for answer in (deliver(outage.client, delivery), outage.client.get("/readyz"), _engagements(outage.client)):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert outage.client.get("/healthz").status_code == 200
    outage.server.start()
    again = (deliver(outage.client, delivery).status_code for _ in range(PATIENCE))
    assert next(status for status in again if status != 503) == 200


def test_a_receiver_that_has_never_seen_its_database_answers_and_asks_again_at_each_request(
    hub: Hub, delivery: ConnectDelivery
) -> None:
    asked: list[int] = []

    def not_yet() -> Hub:
        asked.append(1)
        if len(asked) <= 2:
            raise RetryLater("no database yet", cause="database_unavailable")
        return hub

    app = build_app(not_yet, api_token=TOKEN, max_body_bytes=CAP)
    assert asyncio.run(_answers(app, [(delivery.body, delivery.headers)] * 3)) == [503, 503, 200]


# The reading API


def _engagements(client: httpx.Client, tenant: str = "acme", token: str = TOKEN) -> httpx.Response:
    return client.get(f"/v1/tenants/{tenant}/engagements", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_nobody_reads_without_the_token(client: httpx.Client, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for path in ("acme/engagements", "acme/failures", f"acme/engagements/{uuid4()}", "nobody/engagements", "acme/engagements/x"):
        answer = client.get(f"/v1/tenants/{path}", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_the_word_before_the_token_may_be_written_in_any_case(client: httpx.Client) -> None:
    assert client.get("/v1/tenants/acme/failures", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("tenant", ["nobody", "Acme", "%00"])
def test_an_unknown_tenant_is_not_found(client: httpx.Client, tenant: str) -> None:
    assert _engagements(client, tenant).status_code == 404


def test_engagements_are_listed_newest_first_without_personal_data(client: httpx.Client, database: Database) -> None:
    for number in (1, 2, 3):
        stored_engagement(database, f"WO-{number}")
    answer = _engagements(client)
    assert [engagement["vms_id"] for engagement in answer.json()] == ["WO-3", "WO-2", "WO-1"]
    assert not [name for name in ("Ada", "Lovelace", "ada@example.org") if name in answer.text]


@pytest.mark.parametrize(("limit", "status"), [("1", 200), ("0", 422), ("501", 422), ("all", 422)])
def test_how_many_engagements_are_listed_is_bounded(client: httpx.Client, database: Database, limit: str, status: int) -> None:
    stored_engagement(database, "WO-1")
    stored_engagement(database, "WO-2")
    path = f"/v1/tenants/acme/engagements?limit={limit}"
    answer = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == status
    assert status != 200 or len(answer.json()) == 1


def test_an_engagement_is_shown_with_its_audit_trail(client: httpx.Client, database: Database) -> None:
    engagement = stored_engagement(database, active=True)
    path = f"/v1/tenants/acme/engagements/{engagement.id}"
    answer = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert (answer["id"], answer["state"]) == (str(engagement.id), "active")
    assert [line["event"]["action"] for line in answer["audit"]] == ["engagement.cleared", "engagement.active"]
    assert all(len(line["event_hash"]) == 64 for line in answer["audit"])


def test_an_engagement_that_is_not_there_or_another_companys_is_not_found(
    client: httpx.Client, database: Database, tmp_path: Path
) -> None:
    engagement = stored_engagement(database)
    configure(database, DocuSignSandbox(), tmp_path, "globex")
    for path in (f"acme/engagements/{uuid4()}", f"globex/engagements/{engagement.id}"):
        assert client.get(f"/v1/tenants/{path}", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 404


def test_the_api_describes_every_route(app: FastAPI, hub: Hub, client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    parts = (
        app,
        receiver_routes(lambda: hub, max_body_bytes=CAP),
        api_routes(lambda: hub, TOKEN),
        credential_routes(lambda: hub),
    )
    routes = [route for part in parts for route in part.routes if isinstance(route, APIRoute)]
    there = {(route.path, method.lower()) for route in routes for method in route.methods or ()}
    assert {(path, method) for path, methods in described.items() for method in methods} == there


def test_every_described_route_that_is_no_operation_needs_a_token_or_a_signature(client: httpx.Client) -> None:
    known = {"tenant": "acme", "system": "docusign", "engagement_id": str(uuid4()), "token": "x" * 43}
    described = client.get("/openapi.json").json()["paths"]
    asked = [(path, method) for path, methods in described.items() for method, o in methods.items() if o["tags"] != ["operation"]]
    assert asked
    answers = {(path, method): client.request(method, path.format_map(known)).status_code for path, method in asked}
    # a one-time link is its own token: whoever has another one learns not even that it is none
    assert answers == {(path, method): 404 if "{token}" in path else 401 for path, method in asked}


def test_operations_answer_without_a_token_and_show_nothing_of_anybody(client: httpx.Client) -> None:
    answers = {path: client.get(path) for path in ("/healthz", "/readyz", "/metrics")}
    assert {answer.status_code for answer in answers.values()} == {200}
    assert "acme" not in answers["/metrics"].text


# Requests that no honest client sends


async def _answers(app: FastAPI, requests: Iterable[tuple[bytes, Mapping[str, str]]]) -> list[int]:
    """The statuses of deliveries that are put to the application as they are, past the checks of clients and servers."""
    return [await _answer(app, iter([body]), headers) for body, headers in requests]


async def _answer(app: FastAPI, chunks: Iterator[bytes], headers: Mapping[str, str]) -> int:
    """The status of one delivery whose body comes in ``chunks``. A defect of the application is raised here."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": HOOK, "query_string": b""}
    sent: list[Message] = []

    async def receive() -> Message:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**scope, "headers": raw}, receive, send)
    return int(sent[0]["status"])


def _forged(source: random.Random, delivery: ConnectDelivery) -> tuple[bytes, dict[str, str]]:
    """The delivery with its body or all of its signatures changed."""
    names = [name for name in delivery.headers if name.lower().startswith(SIGNATURE_HEADERS)]
    match source.randrange(4):
        case 0:
            return _mutated_bytes(source, delivery.body), dict(delivery.headers)
        case 1:
            return delivery.body, {name: _mutated_text(source, delivery.headers[name]) for name in names}
        case 2:
            name = _mutated_text(source, names[0])
            elsewhere = f"y{name}" if name.lower().startswith(SIGNATURE_HEADERS) else name
            return delivery.body, {elsewhere: delivery.headers[names[0]]}
        case _:
            return delivery.body, {name: source.randbytes(source.randrange(80)).decode("latin-1") for name in names}


def _mutated_bytes(source: random.Random, original: bytes) -> bytes:
    changed = bytearray(original)
    while bytes(changed) == original:
        at = source.randrange(len(changed))
        match source.randrange(4):
            case 0:
                changed[at] ^= 1 << source.randrange(8)
            case 1:
                del changed[at : at + source.randrange(1, 40)]
            case 2:
                changed[at:at] = source.randbytes(source.randrange(1, 40))
            case _:
                changed = changed[:at]
    return bytes(changed)


def _mutated_text(source: random.Random, original: str) -> str:
    changed = _mutated_bytes(source, original.encode("latin-1")).decode("latin-1")
    return changed if changed.strip().lower() != original.lower() else f"{changed}-x"
