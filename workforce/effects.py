"""Effects: every outside write has an identity, an intent before the call and a result after it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from workforce.states import EffectState


class EffectKind(StrEnum):
    """What is done to one target for one engagement. The value is part of the effect's key and must never change."""

    CREATE_RECORD = "create_record"
    UPDATE_RECORD = "update_record"
    END_RECORD = "end_record"
    CREATE_ACCOUNT = "create_account"
    UPDATE_ACCOUNT = "update_account"
    ENABLE_ACCOUNT = "enable_account"
    SET_EXPIRY = "set_expiry"
    ADD_MEMBER = "add_member"
    DISABLE_ACCOUNT = "disable_account"
    REVOKE_SESSIONS = "revoke_sessions"
    REMOVE_MEMBER = "remove_member"
    MOVE_TO_DISABLED = "move_to_disabled"
    ASSIGN_LICENCE = "assign_licence"
    RECLAIM_LICENCE = "reclaim_licence"
    ASSIGN_APP_ROLE = "assign_app_role"
    REMOVE_APP_ROLE = "remove_app_role"
    SET_MANAGER = "set_manager"
    RENAME_ACCOUNT = "rename_account"
    RESTORE_ACCOUNT = "restore_account"
    ISSUE_CREDENTIAL = "issue_credential"
    REHIRE_RECORD = "rehire_record"


REVOKING = frozenset(
    {
        EffectKind.DISABLE_ACCOUNT,
        EffectKind.REVOKE_SESSIONS,
        EffectKind.REMOVE_MEMBER,
        EffectKind.MOVE_TO_DISABLED,
        EffectKind.END_RECORD,
        EffectKind.RECLAIM_LICENCE,
        EffectKind.REMOVE_APP_ROLE,
    }
)
"""Kinds that take away. They are allowed, and only they are, once the engagement is tombstoned."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One intended write.

    ``target`` is the connector instance, ``detail`` tells effects of one kind apart (a group id, an expiry instant).
    ``lifecycle`` counts the lives of the account (rehire, rescinded ending), so that a second life is a second effect.
    ``epoch`` is the engagement's epoch that the runner holds; a newer one fences it.
    """

    tenant: str
    engagement_id: UUID
    target: str
    kind: EffectKind
    epoch: int
    lifecycle: int = 1
    detail: str = ""

    @property
    def key(self) -> str:
        """Business identity, never a run id: SHA-256 over tenant, engagement, target, kind, lifecycle, detail (hex)."""
        parts = (self.tenant, str(self.engagement_id), self.target, self.kind.value, str(self.lifecycle), self.detail)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """What the ledger knows about an effect. ``vendor_id`` is the target's id once known. ``attempt`` counts calls made.

    ``started_at`` is when the last call began, and ``age_seconds`` how long ago that was when the record was read, both by the ledger's
    clock: an unfinished call younger than the vendor's deadline may still arrive. ``lost`` counts the calls that ended unknown, those
    that a crash left unfinished included.
    """

    effect_id: UUID
    state: EffectState
    attempt: int
    vendor_id: str | None = None
    started_at: datetime | None = None
    lost: int = 0
    age_seconds: float | None = None
