"""What a person first signs in with: a one-time link goes to their own address, and opening it has the directory make the credential.

The credential is in no log, no job, no result of Prefect and no effect. It leaves this process sealed for whoever opened the link; see
``ledger.access.credential_links`` and ``docs/access/identity.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from config.hub import Hub
from config.tenant import Notifications, TenantConfig
from flows.alarms import raise_alarm
from flows.telling import goes_by_mail, send
from ledger import engagements, failures
from ledger.access import credential_links
from ledger.access.credential_links import CredentialJob, CredentialToken
from ledger.database import Tx
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.queueing.queue import RunningJob
from ledger.trail import audit
from provisioning.readback import read_account
from provisioning.updates import Updates
from workforce.access import FirstCredential
from workforce.effects import Effect, EffectKind
from workforce.engagement import Engagement
from workforce.errors import Fenced, HubError, OutcomeUnknown, Refused, RetryLater
from workforce.events import HUB, Actor
from workforce.ports import Credentials

log = structlog.get_logger(__name__)

NOT_DELIVERED = "credential_not_delivered"
NOT_COLLECTED = "credential_not_collected"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A link that was made: the directory it is for, and its address. The address is a secret."""

    directory: str
    token: CredentialToken

    def address(self, base: str, tenant: str) -> str:
        """Where the person's browser opens it."""
        return f"{base.rstrip('/')}/v1/credentials/{tenant}/{self.token.text}"


@dataclass(frozen=True, slots=True)
class HandOver:
    """Handing over the accounts of one engagement to its person."""

    hub: Hub
    tenant: str
    engagement_id: UUID

    def send_links(self) -> None:
        """Send the person a link for each account that has no credential yet; where nothing reaches them, an administrator is asked to.

        Nothing is sent before access was proven, once the ending has begun, or where the person uses the account already. Raises what the
        channel raises, but for a refusal, which is left to the administrator too.
        """
        engagement = self._engagement()
        due = [name for name in self._due(engagement) if not self._was_sent(name)]
        if not due:
            return
        address, channel = self._config.document.access.credentials.page_address, self._channel()
        if address is None:  # the company hands credentials over in a way of its own
            with self.hub.database.transaction(self.tenant) as tx:
                audit.note(tx, "credential.left_to_the_company", engagement_id=engagement.id, systems=due)
            return
        if channel is None:
            self._leave_to_a_person("no notifications by e-mail are configured")
            return
        try:
            self._send(engagement, channel, address, self.make_links(due))
        except Refused as error:
            self._leave_to_a_person(f"the message was refused ({error.cause})")

    def make_links(self, directories: list[str] | None = None, *, actor: Actor = HUB) -> list[Delivery]:
        """Fresh links, one an account; those that were not opened stop working.

        Raises ``Refused`` (cause ``no_access_yet``, ``no_first_credential``).
        """
        engagement = self._engagement()
        names = self._with_credentials(engagement) if directories is None else directories
        if not names:
            message = f"engagement {engagement.id}: no directory of its accounts makes first credentials; set one there by hand"
            raise Refused(message, cause="no_first_credential", field="engagement")
        valid_for = timedelta(hours=self._config.document.access.credentials.link_valid_hours)
        with self.hub.database.transaction(self.tenant) as tx:
            return [
                Delivery(name, credential_links.make(tx, engagement, name, account_id, valid_for=valid_for, actor=actor))
                for name in names
                if (account_id := identities.external_id(tx, name, ACCOUNT, engagement.worker.id)) is not None
            ]

    def _engagement(self) -> Engagement:
        with self.hub.database.transaction(self.tenant) as tx:
            engagement = engagements.get(tx, self.engagement_id)
        if engagement.access_verified_at is None or not _is_open(engagement):
            order = engagement.terms.vms_id
            message = f"{order} has no access that was proven, or no more; see: stint engagements show {order}"
            raise Refused(message, cause="no_access_yet", field="engagement")
        return engagement

    def _due(self, engagement: Engagement) -> list[str]:
        """The directories whose account the person cannot sign in to yet: none where another engagement was handed over before."""
        with self.hub.database.transaction(self.tenant) as tx:
            everything = engagements.list_all(tx, worker_id=engagement.worker.id)
        if any(each.has_access for each in everything if each.id != engagement.id):
            return []
        return self._with_credentials(engagement)

    def _with_credentials(self, engagement: Engagement) -> list[str]:
        """The directories with an account of the person that makes its own first credential: no guest's, and no copy's."""
        found = []
        for name in self._config.document.systems.directories:
            directory = self._config.instance(name).directory()
            with self.hub.database.transaction(self.tenant) as tx:
                account_id = identities.external_id(tx, name, ACCOUNT, engagement.worker.id)
            if account_id is None or not isinstance(directory, Credentials):
                continue
            account = read_account(directory, account_id)
            if not (account.guest or account.synced):
                found.append(name)
        return found

    def _was_sent(self, directory: str) -> bool:
        with self.hub.database.transaction(self.tenant) as tx:
            return credential_links.is_known(tx, self.engagement_id, directory)

    def _channel(self) -> Notifications | None:
        """The tenant's notifications, where they go to e-mail addresses: then the same instance reaches any."""
        told = self._config.document.notifications
        return told if told is not None and goes_by_mail(told) else None

    def _send(self, engagement: Engagement, channel: Notifications, base: str, made: list[Delivery]) -> None:
        policy, name = self._config.document.access.credentials, self._config.document.name
        listed = "\n".join(delivery.address(base, self.tenant) for delivery in made)
        outcome = send(
            self._config,
            channel,
            to=[engagement.worker.profile.personal_email],
            subject=f"Your account at {name}",
            text=_TEXT.format(name=name, hours=policy.link_valid_hours, links=listed),
            key=("credential_links", *(delivery.token.sha256.hex() for delivery in made)),
        )
        with self.hub.database.transaction(self.tenant) as tx:
            for delivery in made:
                credential_links.sent(tx, delivery.token.sha256)
            told = [delivery.directory for delivery in made]
            audit.note(
                tx, "credential_link.sent", outcome=outcome, engagement_id=engagement.id,
                system=channel.instance, directories=told,
            )  # fmt: skip

    def _leave_to_a_person(self, why: str) -> None:
        with self.hub.database.transaction(self.tenant) as tx:
            _park(tx, self.engagement_id, NOT_DELIVERED, f"the person has no first credential: {why}")

    @property
    def _config(self) -> TenantConfig:
        return self.hub.tenant(self.tenant)


def credential_handlers(hub: Hub) -> Mapping[str, Callable[[RunningJob], None]]:
    """Job name → handler, for a worker."""
    return {
        CredentialJob.HAND_OVER: lambda job: hand_over(hub, job.tenant, UUID(job.args["engagement_id"])),
        CredentialJob.ISSUE: lambda job: issue(hub, job.tenant, _link_of(job), run=job.run),
        CredentialJob.SHRED: lambda job: shred(hub, job.tenant, _link_of(job)),
    }


def hand_over(hub: Hub, tenant: str, engagement_id: UUID) -> None:
    """Give the person of an engagement what they first sign in with; nothing once its ending has begun."""
    with hub.database.transaction(tenant) as tx:
        engagement = engagements.get(tx, engagement_id)
    if engagement.access_verified_at is not None and _is_open(engagement):
        HandOver(hub, tenant, engagement_id).send_links()


def issue(hub: Hub, tenant: str, token_sha256: bytes, *, run: str) -> None:
    """Have the directory make the credential of a link that was just opened, and seal it for whoever opened it.

    What may be tried again gives the link back, to be opened again: nobody waits for a job. Raises ``Refused``, ``Misconfigured``, with
    the link given back as well.
    """
    with hub.database.transaction(tenant) as tx:
        link = credential_links.find(tx, token_sha256)
        engagement = engagements.get(tx, link.engagement_id)
        awaited = credential_links.is_awaited(tx, token_sha256)
    if not awaited:
        return
    try:
        sealed = link.seal(_told(_made(hub, tenant, link, engagement, run)))
    except HubError as error:
        log.info("credential.not_made", tenant=tenant, directory=link.directory, cause=error.cause)
        with hub.database.transaction(tenant) as tx:
            credential_links.give_back(tx, token_sha256, error.cause)
        if not isinstance(error, RetryLater | OutcomeUnknown | Fenced):
            raise
        return
    with hub.database.transaction(tenant) as tx:
        credential_links.keep_sealed(tx, token_sha256, sealed)
        failures.resolve(tx, _subject(engagement.id))


def shred(hub: Hub, tenant: str, token_sha256: bytes) -> None:
    """Forget a credential that nobody collected within the minute; an administrator is asked for another link."""
    with hub.database.transaction(tenant) as tx:
        link = credential_links.find(tx, token_sha256)
        if credential_links.shred(tx, token_sha256):
            _park(tx, link.engagement_id, NOT_COLLECTED, "the link was opened, but the credential was not shown in time")


def shred_left_lying(hub: Hub, tenant: str) -> None:
    """The net under the jobs that shred: what lies sealed too long is forgotten, whatever became of its job."""
    with hub.database.transaction(tenant) as tx:
        lying = credential_links.left_lying(tx)
    for token_sha256 in lying:
        shred(hub, tenant, token_sha256)


def _made(hub: Hub, tenant: str, link: credential_links.CredentialLink, engagement: Engagement, run: str) -> FirstCredential:
    directory = hub.tenant(tenant).instance(link.directory).directory()
    if not _is_open(engagement) or not read_account(directory, link.account_id).enabled:
        raise RetryLater("the account is not enabled (any more)", cause="not_enabled")
    if not isinstance(directory, Credentials):
        raise Refused(f"{link.directory} makes no first credentials", cause="no_first_credential")
    made: list[FirstCredential] = []
    effect = Effect(tenant, engagement.id, link.directory, EffectKind.ISSUE_CREDENTIAL, engagement.epoch)
    updates = Updates(effect, hub.effect_log(tenant, runner=run, correlation_id=run))
    updates.needed(lambda: made.append(directory.first_credential(link.account_id)), link.token_sha256.hex()[:32])
    return made[-1]


def _told(credential: FirstCredential) -> str:
    """What the page shows, as JSON: ``kind``, ``secret``, ``valid_until``."""
    until = credential.valid_until
    return json.dumps(
        {"kind": credential.kind, "secret": credential.secret.get_secret_value(), "valid_until": until and until.isoformat()}
    )


def _link_of(job: RunningJob) -> bytes:
    return bytes.fromhex(job.args["link"])


def _is_open(engagement: Engagement) -> bool:
    return engagement.tombstoned_at is None and engagement.suspended_at is None


def _park(tx: Tx, engagement_id: UUID, cause: str, why: str) -> None:
    message = f"{why}; hand over a link yourself: stint workers credential-link {engagement_id}"
    raise_alarm(tx, failures.park(tx, cause=cause, message=message, engagement_id=engagement_id, subject=_subject(engagement_id)))


def _subject(engagement_id: UUID) -> str:
    return f"credential:{engagement_id}"


_TEXT = """\
Your account at {name} is ready.

Open this within {hours} hours to see what you first sign in with. It is shown once.

{links}

Did you not expect this? Then do nothing, and tell whom you work with at {name}.
"""
