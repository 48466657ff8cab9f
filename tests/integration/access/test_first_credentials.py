"""A first credential goes from the directory to the person and is nowhere else: a link by mail, a button, once."""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from email import message_from_bytes
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from connectors.smtp.sandbox import SmtpSandbox
from connectors.suite.sandbox import serve
from connectors.wire.tls import TlsFiles
from console.credential_page import CredentialPage, Throttle, credential_routes
from flows.access.credentials import HandOver, credential_handlers, hand_over, shred_left_lying
from ledger import engagements, failures
from ledger.access import credential_links
from ledger.access.credential_links import COLLECT_WITHIN, CredentialJob, CredentialToken
from ledger.queueing.queue import Lane, RunningJob
from ledger.trail import audit
from tests.integration.installed import TENANT, Installed
from workforce.engagement import Engagement
from workforce.errors import Refused

pytestmark = pytest.mark.integration

PAGE = "https://stint.acme.example"
SECRET = re.compile(r"<code>(.*?)</code>")


@dataclass
class Office:
    """A company that can be mailed from, the page, and a worker that runs the jobs of credentials when it is told to."""

    installed: Installed
    mail: SmtpSandbox
    dsn: str
    folder: Path
    tls: TlsFiles
    open_pages: contextlib.ExitStack
    settings: dict[str, Any] = field(default_factory=dict)

    def configured(self, *, page: str | None = PAGE, to: str = "it@acme.example", **access: Any) -> None:
        notifications = {"instance": "mail", "to": [to]}
        credentials = {"page_address": page} if page else {}
        self.installed.apply(notifications=notifications, access={"credentials": credentials, **access})
        (self.folder / "smtp-password").write_text(self.settings["password"])
        reference = {"secret": f"file:{self.folder / 'smtp-password'}"}
        settings = {**self.settings, "password": reference, "ca_file": str(self.settings["ca_file"])}
        self.installed.apply_files({"connectors/mail.yaml": {"connector": "smtp", "settings": settings}})

    def joined(self) -> Engagement:
        engagement = self.installed.joined()
        return self.engagement(engagement.id)

    def engagement(self, engagement_id: UUID) -> Engagement:
        with self.installed.hub.database.transaction(TENANT) as tx:
            return engagements.get(tx, engagement_id)

    def links(self, message: int = -1) -> list[str]:
        """The paths of the links in a message that was sent."""
        text = message_from_bytes(self.mail.mailbox[message].content).get_payload(decode=True)
        assert isinstance(text, bytes)
        return [found.removeprefix(PAGE) for found in re.findall(rf"{PAGE}/\S+", text.decode())]

    def ldap_link(self, engagement: Engagement) -> str:
        made = HandOver(self.installed.hub, TENANT, engagement.id).make_links(["ldap"])
        return made[0].address("", TENANT)

    def browser(self, *, wait_seconds: float = 20.0, throttle: Throttle | None = None) -> httpx.Client:
        app = FastAPI()
        page = CredentialPage(lambda: self.installed.hub, wait_seconds, throttle or Throttle(limit=1000))
        app.include_router(credential_routes(lambda: self.installed.hub, page))
        address = self.open_pages.enter_context(serve(app, self.tls))
        trust = ssl.create_default_context(cafile=self.tls.ca)
        return self.open_pages.enter_context(httpx.Client(base_url=address, verify=trust, timeout=60))

    def work(self, name: CredentialJob = CredentialJob.ISSUE) -> None:
        """Run the jobs called ``name`` that wait, as a worker does."""
        run = credential_handlers(self.installed.hub)[name]
        for number, args in enumerate(self.installed.waiting(name), start=1):
            run(RunningJob(number, name, TENANT, Lane.SYNC, 1, args))

    def opened(self, path: str) -> str:
        """Press the button while a worker is at work; the page."""
        with self.worker():
            answer = self.browser().post(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        stop = threading.Event()

        def loop() -> None:
            while not stop.wait(0.05):
                self.work()

        with ThreadPoolExecutor(1) as pool:
            running: Future[None] = pool.submit(loop)
            try:
                yield
            finally:
                stop.set()
                running.result()

    def failures(self, engagement: Engagement) -> list[str]:
        with self.installed.hub.database.transaction(TENANT) as tx:
            return [failure.cause for failure in failures.list_open(tx, engagement_id=engagement.id)]

    def everything_stored(self) -> str:
        """Every row of every table, as its owner sees it."""
        with psycopg.connect(self.dsn) as owner:
            names = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            return "\n".join(
                str(row)
                for (name,) in names
                for row in owner.execute(f'SELECT "{name}"::text FROM "{name}"').fetchall()  # noqa: S608
            )


@pytest.fixture
def office(installed: Installed, tls: TlsFiles, dsn: str, tmp_path: Path) -> Iterator[Office]:
    sandbox = SmtpSandbox()
    with sandbox.serve(tls) as port, contextlib.ExitStack() as pages:
        office = Office(installed, sandbox, dsn, tmp_path, tls, pages, settings=sandbox.settings(port, tls.ca))
        office.configured()
        yield office


def shown(page: str) -> str:
    found = SECRET.search(page)
    assert found is not None, page
    return unescape(found[1])


def test_a_person_gets_links_at_their_own_address_and_signs_in_with_what_they_show(office: Office) -> None:
    engagement = office.joined()
    hand_over(office.installed.hub, TENANT, engagement.id)
    assert office.mail.mailbox[-1].recipients == (engagement.worker.profile.personal_email,)
    secrets = [shown(office.opened(path)) for path in office.links()]
    slapd = office.installed.world.slapd
    (entry,) = slapd.entries(engagement.worker.marker)
    assert any(slapd.bind_as(entry["uid"][0], secret) for secret in secrets)
    assert office.failures(engagement) == []


def test_the_credential_is_in_no_row_and_no_log(office: Office, capfd: pytest.CaptureFixture[str]) -> None:
    engagement = office.joined()
    path = office.ldap_link(engagement)
    secret = shown(office.opened(path))
    told = capfd.readouterr()
    for place in (office.everything_stored(), told.out, told.err):
        assert secret not in place
        assert path.rpartition("/")[2] not in place


def test_while_it_is_on_its_way_it_is_sealed_for_the_link_alone(office: Office) -> None:
    engagement = office.joined()
    token = HandOver(office.installed.hub, TENANT, engagement.id).make_links(["ldap"])[0].token
    database = office.installed.hub.database
    with database.transaction(TENANT) as tx:
        assert credential_links.use(tx, token.sha256)
    office.work()
    with database.transaction(TENANT) as tx:
        sealed = credential_links.collect(tx, token.sha256)
    assert sealed is not None
    assert b"password" not in sealed
    assert '"secret"' in token.open(sealed)
    with pytest.raises(Refused):
        CredentialToken.fresh().open(sealed)
    with database.transaction(TENANT) as tx:
        assert credential_links.collect(tx, token.sha256) is None


def test_looking_at_the_page_opens_nothing_and_pressing_opens_it_once(office: Office) -> None:
    path = office.ldap_link(office.joined())
    browser = office.browser()
    for _ in range(3):
        assert "<button>" in browser.get(path).text
    assert office.installed.waiting(CredentialJob.ISSUE) == []
    office.opened(path)
    assert [browser.get(path).status_code, browser.post(path).status_code] == [404, 404]


def test_two_who_press_at_once_make_one_credential_and_one_of_them_sees_it(office: Office) -> None:
    path = office.ldap_link(office.joined())
    browser = office.browser(wait_seconds=10)
    with office.worker(), ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: browser.post(path), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]


def test_no_page_is_kept_framed_or_told_to_the_next_site(office: Office) -> None:
    path, browser = office.ldap_link(office.joined()), office.browser()
    for answer in (browser.get(path), browser.get("/v1/credentials/acme/x"), browser.post("/v1/credentials/nobody/x")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["acme/x", "acme/" + "A" * 43, "nobody/" + "A" * 43, "a%00b/" + "A" * 43, "acme/" + "%41" * 44])
def test_what_is_no_link_gets_one_and_the_same_answer(office: Office, path: str) -> None:
    browser = office.browser()
    assert {browser.get(f"/v1/credentials/{path}").status_code, browser.post(f"/v1/credentials/{path}").status_code} == {404}


def test_a_link_that_is_too_old_or_was_followed_by_another_opens_nothing(office: Office) -> None:
    engagement = office.joined()
    first, second = office.ldap_link(engagement), office.ldap_link(engagement)
    browser = office.browser()
    assert [browser.get(first).status_code, browser.get(second).status_code] == [404, 200]
    with psycopg.connect(office.dsn) as owner:
        owner.execute("UPDATE credential_links SET expires_at = now()")
    assert browser.post(second).status_code == 404


def test_nothing_is_made_for_a_page_that_was_closed_and_what_nobody_collects_is_shredded(office: Office) -> None:
    engagement = office.joined()
    path = office.ldap_link(engagement)
    browser = office.browser(wait_seconds=0)
    assert browser.post(path).status_code == 202
    office.work()
    office.work(CredentialJob.SHRED)
    assert "sealed" not in office.everything_stored().replace("sealed_at", "")
    assert office.failures(engagement) == ["credential_not_collected"]
    again = office.ldap_link(engagement)
    assert browser.post(again).status_code == 202
    with psycopg.connect(office.dsn) as owner:
        owner.execute("UPDATE credential_links SET used_at = used_at - %s", (COLLECT_WITHIN,))
    before = credentials_issued(office)
    office.work()
    assert credentials_issued(office) == before


def test_what_its_job_left_lying_is_shredded_by_the_next_sweep(office: Office) -> None:
    engagement = office.joined()
    path = office.ldap_link(engagement)
    assert office.browser(wait_seconds=0).post(path).status_code == 202
    office.work()
    office.installed.waiting(CredentialJob.SHRED)  # the job is lost
    shred_left_lying(office.installed.hub, TENANT)
    assert office.failures(engagement) == [], "its minute is not over"
    with psycopg.connect(office.dsn) as owner:
        owner.execute("UPDATE credential_links SET sealed_at = sealed_at - %s", (3 * COLLECT_WITHIN,))
    for _ in range(2):
        shred_left_lying(office.installed.hub, TENANT)
        assert office.failures(engagement) == ["credential_not_collected"]
    assert "sealed" not in office.everything_stored().replace("sealed_at", "")


def credentials_issued(office: Office) -> int:
    with office.installed.hub.database.transaction(TENANT) as tx:
        return len(audit.entries(tx, action="credential.issued"))


def test_once_the_ending_has_begun_a_link_gives_nothing(office: Office) -> None:
    engagement = office.joined()
    path = office.ldap_link(engagement)
    with office.installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "test")
    with office.worker():
        assert office.browser().post(path).status_code == 503
    with pytest.raises(Refused, match="no more"):
        office.ldap_link(engagement)
    hand_over(office.installed.hub, TENANT, engagement.id)
    assert office.mail.mailbox == []


def test_where_the_directory_is_away_the_link_can_be_opened_again(office: Office) -> None:
    engagement = office.joined()
    path = office.ldap_link(engagement)
    slapd = office.installed.world.slapd
    slapd.stop()
    try:
        with office.worker():
            assert office.browser().post(path).status_code == 503
    finally:
        slapd.start()
    assert shown(office.opened(path))


def test_links_are_sent_once_however_often_the_job_runs(office: Office) -> None:
    engagement = office.joined()
    for _ in range(3):
        with office.installed.hub.database.transaction(TENANT) as tx:
            credential_links.defer_hand_over(tx, engagement.id)
            credential_links.defer_hand_over(tx, engagement.id)
        office.work(CredentialJob.HAND_OVER)
    assert len(office.mail.mailbox) == 1


def test_a_person_who_uses_the_account_already_is_sent_nothing(office: Office) -> None:
    first = office.joined()
    second = office.joined()
    with office.installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET worker_id = %(worker)s WHERE id = %(id)s", worker=first.worker.id, id=second.id)
    hand_over(office.installed.hub, TENANT, second.id)
    assert office.mail.mailbox == []


def test_a_company_without_a_page_for_it_hands_credentials_over_in_a_way_of_its_own(office: Office) -> None:
    engagement = office.joined()
    office.configured(page=None)
    hand_over(office.installed.hub, TENANT, engagement.id)
    assert (office.failures(engagement), office.mail.mailbox) == ([], [])


def test_where_nothing_reaches_the_person_an_administrator_is_asked(office: Office) -> None:
    engagement = office.joined()
    office.configured(to="C0123ABCD")
    hand_over(office.installed.hub, TENANT, engagement.id)
    assert office.failures(engagement) == ["credential_not_delivered"]
    assert office.mail.mailbox == []


def test_an_address_that_takes_no_mail_is_left_to_an_administrator(office: Office) -> None:
    engagement = office.joined()
    office.mail.unknown = {engagement.worker.profile.personal_email}
    hand_over(office.installed.hub, TENANT, engagement.id)
    assert office.failures(engagement) == ["credential_not_delivered"]


def test_whoever_asks_too_often_waits(office: Office) -> None:
    browser = office.browser(throttle=Throttle(limit=3))
    answers = [browser.get("/v1/credentials/acme/x").status_code for _ in range(5)]
    assert answers == [404, 404, 404, 429, 429]


def test_what_happened_is_in_the_audit_trail(office: Office) -> None:
    engagement = office.joined()
    hand_over(office.installed.hub, TENANT, engagement.id)
    office.opened(office.links()[0])
    with office.installed.hub.database.transaction(TENANT) as tx:
        told = [(line.event["action"], line.event["actor"]["type"]) for line in audit.entries(tx, engagement_id=engagement.id)]
    told = [each for each in told if each[0].startswith("credential")]
    assert ("credential_link.sent", "service") in told
    order = ["credential_link.opened", "credential.issued", "credential.issued", "credential.shown"]
    assert [action for action, _ in told if action in order] == order
    assert ("credential.shown", "contractor") in told
