"""Approvals in life: approvers are told what waits for them, and the engagement's access follows what they decide."""

from __future__ import annotations

from config.hub import Hub
from config.tenant import TenantConfig
from flows.telling import shown_if_it_fails, tell
from ledger import engagements
from ledger.access import approvals
from ledger.access.approvals import Approval, ApprovalState, Decision
from ledger.database import Tx
from ledger.queueing.jobs import defer_joiner
from provisioning.packages import AccessPackage
from workforce.engagement import Engagement
from workforce.errors import Refused
from workforce.events import Actor


def decide(tx: Tx, config: TenantConfig, decision: Decision, actor: Actor) -> Approval:
    """Take an approver's decision; the engagement's access follows at once.

    An approved version to which the engagement was to be migrated is the one it is pinned to from now on. Raises ``Refused``
    and ``NotFound`` as ``ledger.access.approvals.decide`` does; ``Refused`` (cause ``unknown_package``) where the version is no longer there.
    """
    package = package_version(config, decision.package, decision.version)
    domain = config.document.email_domain
    decided = approvals.decide(tx, decision, approvers=package.approvers, email_domain=domain, actor=actor)
    pins = engagements.get(tx, decision.engagement_id).access_pins
    if decided.state is ApprovalState.APPROVED and pins.get(package.package, package.version) != package.version:
        engagements.pin_access(tx, decision.engagement_id, {**pins, package.package: package.version}, actor=actor)
    defer_joiner(tx, decision.engagement_id)
    return decided


def package_version(config: TenantConfig, name: str, version: int) -> AccessPackage:
    """One version of one package. Raises ``Refused`` (cause ``unknown_package``) naming those there are."""
    for package in config.access.packages:
        if (package.package, package.version) == (name, version):
            return package
    known = ", ".join(f"{each.package} v{each.version}" for each in config.access.packages) or "none"
    raise Refused(f"there is no access package {name} v{version}; there are: {known}", cause="unknown_package", field="package")


def tell_approvers(hub: Hub, tenant: str) -> None:
    """Tell the approvers of what was asked for since the last time. What cannot be sent is tried again, and shown."""
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        untold = [(each, engagements.get(tx, each.engagement_id)) for each in approvals.waiting(tx) if each.told_at is None]
    for approval, engagement in untold:
        name = f"{approval.package} v{approval.version}"
        with shown_if_it_fails(hub, tenant, f"approval:{engagement.id}:{name}", engagement.id):
            package = package_version(config, approval.package, approval.version)
            subject = f"Stint, {tenant}: may {engagement.terms.vms_id} have {name}?"
            key = ("approval", str(engagement.id), name, approval.asked_at.isoformat())
            tell(config, package.approvers, subject, _text(engagement, package), key=key)
            with hub.database.transaction(tenant) as tx:
                approvals.told(tx, approval)


def _text(engagement: Engagement, package: AccessPackage) -> str:
    """The work order and the package. No personal data of the contractor."""
    terms = engagement.terms
    first = next(iter(package.approvers), "ADDRESS")
    return (
        f"{terms.role} at {terms.client_unit}, {terms.location}; work order {terms.vms_id}.\n"
        f"{package.package} v{package.version}: {package.because}\nApprovers: {', '.join(package.approvers)}.\n"
        f"Answer: stint access approve {engagement.id} --package {package.package} --as {first}\n"
        f"or: stint access decline {engagement.id} --package {package.package} --as {first} --reason TEXT"
    )
