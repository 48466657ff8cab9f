"""Steps about who an account belongs to: its login follows the name, and its manager is whoever answers for the engagement now."""

from __future__ import annotations

from flows.alarms import raise_alarm
from flows.case import Case
from flows.steps import step
from ledger import engagements, failures
from ledger.identity.identities import ACCOUNT
from ledger.writing import effect_history
from provisioning.renaming import AccountNaming, detail_of
from workforce.effects import Effect, EffectKind
from workforce.errors import Fenced, Refused
from workforce.events import Outcome
from workforce.ports import Managers
from workforce.states import EffectState


@step("Rename the account")
def rename_account(case: Case) -> None:
    """Give the account its new login where the person's name has changed, and prove that it works; the old one stays an alias.

    Before the attributes are written: they may hold the login too. Nothing where there is no account yet, or it has its login.
    """
    account_id = case.external_id(ACCOUNT)
    if account_id is None:
        return
    login = case.desired_account(case.outgoing().values).login
    naming = _naming(case)
    renamed = naming.rename(account_id, login, try_sign_in=not is_handed_over(case))
    naming.conclude(account_id, case.unfinished(EffectKind.RENAME_ACCOUNT))
    if renamed is not None:
        case.audit("account.rename_verified", account_id=account_id, enabled=renamed.account.enabled, sign_in=renamed.sign_in)


@step("Set the manager")
def set_manager(case: Case) -> None:
    """Make the sponsor, or who answers for the sponsor's contractors since they left, the account's manager.

    Where nobody in the directory has that address, it is noted and asked again with the next run; a refusal (several have it) is left to a
    person. Access waits for neither.
    """
    account_id = case.external_id(ACCOUNT)
    if account_id is None or not isinstance(case.directory, Managers):
        return
    sponsor = case.config.document.access.sponsors.of(case.engagement.terms.sponsor_email)
    if _manager_last_set(case) == detail_of(sponsor):
        return
    try:
        if not _naming(case).set_manager(account_id, sponsor):
            case.audit("account.manager_not_found", outcome=Outcome.FAILURE, account_id=account_id)
    except Fenced:
        raise
    except Refused as error:
        _leave_to_a_person(case, error)


def is_handed_over(case: Case) -> bool:
    """Whether the person uses the account by now, for this engagement or for another: a trial sign-in would take it from them."""
    with case.hub.database.transaction(case.ref.tenant) as tx:
        return any(each.has_access for each in engagements.list_all(tx, worker_id=case.engagement.worker.id))


def _leave_to_a_person(case: Case, error: Refused) -> None:
    subject = f"manager:{case.ref.engagement_id}:{case.system}"
    with case.hub.database.transaction(case.ref.tenant) as tx:
        failure = failures.park(
            tx, cause="manager_not_set", message=str(error), field=error.field, engagement_id=case.engagement_id, subject=subject
        )
        raise_alarm(tx, failure)


def _manager_last_set(case: Case) -> str | None:
    """What tells which manager this engagement set last."""
    with case.hub.database.transaction(case.ref.tenant) as tx:
        lines = effect_history.list_for(tx, case.engagement_id)
    done = [e for e in lines if (e.target, e.kind, e.state) == (case.system, EffectKind.SET_MANAGER, EffectState.DONE)]
    return max(done, key=lambda line: line.changed_at).detail if done else None


def _naming(case: Case) -> AccountNaming:
    base = Effect(case.ref.tenant, case.engagement_id, case.system, EffectKind.RENAME_ACCOUNT, case.ref.epoch)
    return AccountNaming(case.directory, base, case.effects)
