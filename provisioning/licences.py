"""Taking licences back: only once nothing forbids it, and only from the account that it is about. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from provisioning.guards import require_touchable
from provisioning.policies import EndingPolicy
from workforce.access import AccountState
from workforce.errors import Refused

ALL_LICENCES = "licences"
"""The subject of evidence that speaks of everything that the person's licences kept."""


@dataclass(frozen=True, slots=True)
class Reclaiming:
    """Whether a licence may be taken back now; if not, ``why`` is a sentence for a person, and ``cause`` its word."""

    may: bool
    cause: str = ""
    why: str = ""


def may_reclaim(licence: str, *, policy: EndingPolicy, on_hold: bool, evidence: Collection[str]) -> Reclaiming:
    """Whether ``licence`` may be reclaimed: no hold stands on the person, the policy says so, and where what it kept went is known.

    ``evidence`` are the subjects that people have spoken to: ``licences`` for all of them, or one licence's id (case does not matter).
    """
    if on_hold:
        return Reclaiming(False, "legal_hold", "a legal hold stands on the person: stint holds list")
    if not policy.reclaim_licences:
        return Reclaiming(False, "policy", "the policy keeps licences (access.endings.reclaim_licences)")
    spoken_to = {subject.casefold() for subject in evidence}
    if policy.reclaim_needs_evidence and not spoken_to & {ALL_LICENCES, licence.casefold()}:
        told = f"nobody has said where what it kept went: stint evidence give … --subject {licence} --statement …"
        return Reclaiming(False, "no_evidence", told)
    return Reclaiming(True)


def require_subject(account: AccountState, *, marker: str, known_ids: Collection[str], signs_in: bool) -> None:
    """Assert whose licence it is: the account carries the worker's marker, is one that we know as theirs, and is blocked.

    ``signs_in`` says that another engagement of the person supports sign-in: the account is not blocked then. Raises ``Refused`` (causes
    ``protected_account``, ``namesake``, ``unknown_account``, ``not_blocked``).
    """
    require_touchable(account, marker=marker)
    if account.account_id not in known_ids:
        message = (
            f"account {account.account_id} carries the worker's marker, but is none that we made or know as theirs: look at it"
        )
        raise Refused(message, cause="unknown_account", field="account_id")
    if account.enabled and not signs_in:
        message = f"account {account.account_id} can still sign in: its licences stay until it is blocked"
        raise Refused(message, cause="not_blocked", field="account_id")
