"""One-time links to a first credential, known by the hash of their token alone, and the credential on its short way to whoever has it.

A link carries a public key whose private half is made of the token (``CredentialToken``). Whoever makes the credential seals it with that
key, so that what lies in the database, for a minute at most, can be opened by nobody who has only the database.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ledger.database import Row, Tx
from ledger.queueing.queue import Job, Lane, defer
from ledger.trail import audit
from ledger.vault.keys import decrypt, encrypt
from workforce.engagement import Engagement
from workforce.errors import NotFound, Refused
from workforce.events import HUB, Actor, ActorType

TOKEN_BYTES = 32
COLLECT_WITHIN = timedelta(seconds=60)
"""How long after the link was opened the credential is made, and lies sealed, at most."""
OPENED = Actor(ActorType.CONTRACTOR, "link", auth="one_time_link")


class CredentialJob(StrEnum):
    """The jobs of a credential on its way."""

    HAND_OVER = "hand_over"
    ISSUE = "issue_credential"
    SHRED = "shred_credential"


@dataclass(frozen=True, slots=True)
class CredentialToken:
    """The secret of one link. It is in the link and nowhere else."""

    text: str = field(repr=False)

    @classmethod
    def fresh(cls) -> CredentialToken:
        """256 random bits."""
        return cls(secrets.token_urlsafe(TOKEN_BYTES))

    @property
    def sha256(self) -> bytes:
        """What the ledger knows the link by."""
        return hashlib.sha256(self.text.encode(errors="replace")).digest()

    @property
    def seal_key(self) -> bytes:
        """The public key that whatever goes to the token's holder is sealed with (X25519, 32 bytes)."""
        return self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes) -> str:
        """What ``seal`` was given. Raises ``Refused`` (cause ``not_sealed_for_this``)."""
        ephemeral, rest = sealed[:32], sealed[32:]
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
            return decrypt(_cipher(shared, ephemeral, self.seal_key), rest, self.sha256).decode()
        except (InvalidTag, ValueError):
            raise Refused("the credential was not sealed for this link", cause="not_sealed_for_this") from None

    @property
    def _private(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(_derived(self.text.encode(errors="replace"), b"stint credential link"))


@dataclass(frozen=True, slots=True)
class CredentialLink:
    """One link. Instants are UTC, by the database's clock."""

    token_sha256: bytes
    engagement_id: UUID
    directory: str
    account_id: str
    seal_key: bytes
    made_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    used_at: datetime | None
    sealed_at: datetime | None
    shown_at: datetime | None
    failed_because: str | None

    def seal(self, secret: str) -> bytes:
        """``secret``, to be opened with the link's token alone."""
        ephemeral = X25519PrivateKey.generate()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.seal_key))
        public = ephemeral.public_key().public_bytes_raw()
        return public + encrypt(_cipher(shared, public, self.seal_key), secret.encode(), self.token_sha256)


def defer_hand_over(tx: Tx, engagement_id: UUID) -> None:
    """Have the person given what they first sign in with, once access was proven; one waiting job is enough."""
    key = f"{CredentialJob.HAND_OVER}:{engagement_id}"
    defer(tx, tx.tenant, Job(CredentialJob.HAND_OVER, {"engagement_id": str(engagement_id)}, Lane.SYNC, key, key))


def make(
    tx: Tx, engagement: Engagement, directory: str, account_id: str, *, valid_for: timedelta, actor: Actor = HUB
) -> CredentialToken:
    """A fresh link for one account; earlier ones of the engagement's that nobody opened stop working. Audited."""
    tx.execute(
        """
        UPDATE credential_links SET expires_at = clock_timestamp(), failed_because = 'superseded'
        WHERE engagement_id = %(engagement_id)s AND directory = %(directory)s AND used_at IS NULL AND expires_at > clock_timestamp()
        """,
        engagement_id=engagement.id,
        directory=directory,
    )
    token = CredentialToken.fresh()
    tx.execute(
        """
        INSERT INTO credential_links (tenant, token_sha256, engagement_id, directory, account_id, seal_key, expires_at)
        VALUES (%(tenant)s, %(token_sha256)s, %(engagement_id)s, %(directory)s, %(account_id)s, %(seal_key)s,
                clock_timestamp() + %(valid_for)s)
        """,
        tenant=tx.tenant,
        token_sha256=token.sha256,
        engagement_id=engagement.id,
        directory=directory,
        account_id=account_id,
        seal_key=token.seal_key,
        valid_for=valid_for,
    )
    _note(tx, "credential_link.made", engagement.id, directory, actor)
    return token


def sent(tx: Tx, token_sha256: bytes) -> None:
    """Note that the link is on its way to the person."""
    tx.execute("UPDATE credential_links SET sent_at = clock_timestamp() WHERE token_sha256 = %(key)s", key=token_sha256)


def is_known(tx: Tx, engagement_id: UUID, directory: str) -> bool:
    """Whether the person was given a link for the engagement, or opened one."""
    row = tx.the(
        """
        SELECT EXISTS (
            SELECT 1 FROM credential_links
            WHERE engagement_id = %(engagement_id)s AND directory = %(directory)s AND (sent_at IS NOT NULL OR used_at IS NOT NULL)
        ) AS found
        """,
        engagement_id=engagement_id,
        directory=directory,
    )
    return bool(row["found"])


def find(tx: Tx, token_sha256: bytes) -> CredentialLink:
    """The link. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM credential_links WHERE token_sha256 = %(key)s", key=token_sha256)
    if row is None:
        raise NotFound("there is no such link", cause="unknown_link")
    return _link(row)


def is_usable(tx: Tx, token_sha256: bytes) -> bool:
    """Whether the link can still be opened, or was opened just now and its credential not yet shown."""
    row = tx.one(
        """
        SELECT 1 FROM credential_links
        WHERE token_sha256 = %(key)s AND shown_at IS NULL
          AND ((used_at IS NULL AND expires_at > clock_timestamp()) OR used_at > clock_timestamp() - %(within)s)
        """,
        key=token_sha256,
        within=COLLECT_WITHIN,
    )
    return row is not None


def use(tx: Tx, token_sha256: bytes) -> bool:
    """Open the link, once, and have the credential made: one row and one job in one transaction. False where it cannot be opened (again)."""
    row = tx.one(
        """
        UPDATE credential_links SET used_at = clock_timestamp(), failed_because = NULL
        WHERE token_sha256 = %(key)s AND used_at IS NULL AND expires_at > clock_timestamp()
        RETURNING engagement_id, directory
        """,
        key=token_sha256,
    )
    if row is None:
        return False
    _note(tx, "credential_link.opened", row["engagement_id"], row["directory"], OPENED)
    _defer(tx, CredentialJob.ISSUE, row["engagement_id"], token_sha256)
    return True


def is_awaited(tx: Tx, token_sha256: bytes) -> bool:
    """Whether somebody who opened the link still waits: what comes later than that is made for nobody."""
    row = tx.one(
        """
        SELECT 1 FROM credential_links
        WHERE token_sha256 = %(key)s AND used_at > clock_timestamp() - %(within)s AND sealed_at IS NULL
        """,
        key=token_sha256,
        within=COLLECT_WITHIN,
    )
    return row is not None


def keep_sealed(tx: Tx, token_sha256: bytes, sealed: bytes) -> None:
    """Lay down the sealed credential, and have it shredded in a minute whatever happens."""
    row = tx.the(
        """
        UPDATE credential_links SET sealed = %(sealed)s, sealed_at = clock_timestamp() WHERE token_sha256 = %(key)s
        RETURNING engagement_id
        """,
        sealed=sealed,
        key=token_sha256,
    )
    _defer(tx, CredentialJob.SHRED, row["engagement_id"], token_sha256, not_before=tx.began_at + COLLECT_WITHIN)


def collect(tx: Tx, token_sha256: bytes) -> bytes | None:
    """Take the sealed credential, once; it is in the ledger no more. ``None`` while it is not there."""
    row = tx.one(
        "SELECT sealed, engagement_id, directory FROM credential_links WHERE token_sha256 = %(key)s FOR UPDATE", key=token_sha256
    )
    if row is None or row["sealed"] is None:
        return None
    tx.execute(
        "UPDATE credential_links SET sealed = NULL, shown_at = clock_timestamp() WHERE token_sha256 = %(key)s", key=token_sha256
    )
    _note(tx, "credential.shown", row["engagement_id"], row["directory"], OPENED)
    return bytes(row["sealed"])


def give_back(tx: Tx, token_sha256: bytes, because: str) -> None:
    """The credential could not be made: the link may be opened again while it is valid."""
    tx.execute(
        "UPDATE credential_links SET used_at = NULL, failed_because = %(because)s WHERE token_sha256 = %(key)s AND sealed_at IS NULL",
        because=because,
        key=token_sha256,
    )


def shred(tx: Tx, token_sha256: bytes) -> bool:
    """Forget a sealed credential that nobody collected; whether there was one. The account has it, and nobody knows it."""
    shredded = tx.execute(
        """
        UPDATE credential_links SET sealed = NULL, failed_because = 'not_collected'
        WHERE token_sha256 = %(key)s AND sealed IS NOT NULL
        """,
        key=token_sha256,
    )
    if shredded:
        link = find(tx, token_sha256)
        _note(tx, "credential.shredded", link.engagement_id, link.directory, HUB)
    return shredded == 1


def left_lying(tx: Tx) -> list[bytes]:
    """The links whose credential lies sealed although its minute is long over: the job that shreds it did not come to it."""
    rows = tx.all(
        "SELECT token_sha256 FROM credential_links WHERE sealed IS NOT NULL AND sealed_at < clock_timestamp() - %(long)s ORDER BY sealed_at",
        long=2 * COLLECT_WITHIN,
    )
    return [bytes(row["token_sha256"]) for row in rows]


def _defer(tx: Tx, name: CredentialJob, engagement_id: UUID, token_sha256: bytes, *, not_before: datetime | None = None) -> None:
    args = {"engagement_id": str(engagement_id), "link": token_sha256.hex()}
    key = f"{name}:{token_sha256.hex()}"
    defer(tx, tx.tenant, Job(name, args, Lane.SYNC, key, key, not_before))


def _note(tx: Tx, action: str, engagement_id: UUID, directory: str, actor: Actor) -> None:
    audit.note(tx, action, actor=actor, engagement_id=engagement_id, system=directory)


def _cipher(shared: bytes, ephemeral: bytes, public: bytes) -> AESGCM:
    return AESGCM(_derived(shared, b"stint credential seal" + ephemeral + public))


def _derived(material: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(material)


def _link(row: Row) -> CredentialLink:
    return CredentialLink(**{name: row[name] for name in CredentialLink.__slots__})
