"""The commands about access: ``stint access …``, ``stint reviews …`` and ``stint audit who-had-access``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.options import EngagementArgument, EngagementOption, TenantOption
from cli.output import JsonFlag, print_json, print_table, second
from workforce.attestation import Answer

access_app = typer.Typer(help="Access packages, their approvals, and what an engagement would be given.", no_args_is_help=True)
reviews_app = typer.Typer(help="Access reviews: sponsors attest what is still needed.", no_args_is_help=True)

AsOption = Annotated[str, typer.Option("--as", help="Your address, as the package or the review names it.")]
WhyOption = Annotated[str | None, typer.Option("--reason", help="Why. A refusal needs one.")]
PackageOption = Annotated[str, typer.Option("--package", help="As in: stint access approvals.")]
VersionOption = Annotated[int | None, typer.Option("--version", help="Without it, the one that waits.")]


def who_had_access(
    system: Annotated[str, typer.Option("--system", help="The directory, by the name of its connector instance.")],
    at: Annotated[str | None, typer.Option("--at", help="An instant, such as 2026-09-30T12:00Z; without it, now.")] = None,
    engagement: EngagementOption = None,
    person: Annotated[str | None, typer.Option("--person", help="Only this worker: id, or the marker on the account.")] = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Who had access to a directory at an instant, why, since when and until when. From what was read back; the reading is audited."""
    from cli.access import history as access_history
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        found = access_history.who_had_access(hub, name, system=system, at=at, engagement=engagement, person=person)
    rows = access_history.rows(found)
    if as_json:
        told = {"system": found.system, "at": found.at.isoformat(), "recorded_since": found.recorded_since, "held": rows}
        print_json(told)
        return
    cells = [
        (
            f"{r['person']}\n{r['work_order']}",
            f"{r['kind']} {r['entitlement']}".strip() + f"\n{access_history.reason_text(r['reason'])}",
            second(r["since"]),
            second(r["until"]) or "still",
        )
        for r in rows
    ]
    title = f"Access to {found.system} at {second(found.at)} (all instants in UTC)"
    print_table(title, ("person, work order", "what, and why", "since", "until"), cells, empty="nobody had access")
    if found.recorded_since is None:
        print(f"Note: nothing that is held in {found.system} was ever recorded.")
    elif found.is_before_the_records:
        print(f"Note: what is held in {found.system} has been recorded since {second(found.recorded_since)} UTC, and not before.")


@access_app.command("packages")
def access_packages(engagement: EngagementOption = None, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Every package with its versions, whom it is for, what it gives, and how many running engagements have it."""
    from cli.access.packages import package_lines, package_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = package_rows(hub, name, engagement)
    if as_json:
        print_json(rows)
        return
    print("\n\n".join("\n".join(package_lines(row)) for row in rows) or "no access packages")


@access_app.command("plan")
def access_plan(engagement: EngagementArgument, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """What would be made, enabled, given and taken away in each directory now, and why. Nothing is changed."""
    from cli.access import plan as plans
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        plan, asked = plans.access_plan(hub, name, engagement)
    if as_json:
        print_json(plans.plan_json(plan, asked))
        return
    packages = ", ".join(f"{package} v{version}" for package, version in plan.packages.items()) or "no package"
    print(f"{plan.engagement.terms.vms_id}, {plan.engagement.state}: {packages}")
    columns = ("directory", "what", "which", "why")
    title = "What would be done. Nothing was changed"
    print_table(title, columns, plans.change_rows(plan), empty="there is nothing to do now")
    for remark in plans.remarks(plan, asked):
        print(remark)


@access_app.command("migrate")
def access_migrate(
    package: Annotated[str, typer.Argument(help="As in: stint access packages.")],
    version: Annotated[int, typer.Argument(help="The version to move to.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")] = "",
    engagement: EngagementOption = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show whom it touches; change nothing.")] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Move running engagements to another version of a package. One that needs approval moves once it is approved."""
    from cli.access.packages import migrate, moves
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        if preview:
            found = moves(hub, name, package, version, engagement)
        else:
            found = migrate(hub, name, package, version, reason=reason, engagement=engagement)
    rows: list[dict[str, Any]] = [
        {
            "engagement_id": str(move.engagement.id),
            "work_order": move.engagement.terms.vms_id,
            "from": move.pinned,
            "gains": move.gains,
            "loses": move.loses,
            "waits_for_approval": move.waits,
        }
        for move in found
    ]
    if as_json:
        print_json({"ok": True, "preview": preview, "moved": rows})
        return
    cells = [
        (r["work_order"], f"v{r['from']} → v{version}", "\n".join(r["gains"]), "\n".join(r["loses"]), _when(r)) for r in rows
    ]
    title = "Preview: nothing was changed" if preview else f"{package} v{version}: taken up"
    columns = ("work order", "version", "gains", "loses", "moves")
    print_table(title, columns, cells, empty=f"no running engagement has another version of {package}")
    if not preview and any(row["waits_for_approval"] for row in rows):
        print("Next: stint access approvals")


@access_app.command("approvals")
def access_approvals(engagement: EngagementOption = None, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """What waits for an approver; with --engagement, everything that was asked for it and what was decided."""
    from cli.access.decisions import approval_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = approval_rows(hub, name, engagement)
    if as_json:
        print_json(rows)
        return
    cells = [
        (
            f"{r['work_order']}\n{r['role']}",
            f"{r['package']} v{r['version']}\n{_decision(r)}",
            "\n".join(r["approvers"]),
            second(r["asked_at"]),
        )
        for r in rows
    ]
    columns = ("work order, role", "package, state", "who may approve", "asked (UTC)")
    empty = f"nothing was ever asked for {engagement}" if engagement else "nothing waits for an approver"
    print_table("Approvals", columns, cells, empty=empty)
    if any(row["state"] == "waiting" for row in rows):
        print("Next: stint access approve|decline WORK-ORDER --package PACKAGE --as YOUR-ADDRESS")


@access_app.command("approve")
def access_approve(
    engagement: EngagementArgument,
    package: PackageOption,
    by: AsOption,
    reason: WhyOption = None,
    version: VersionOption = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let an engagement have a package. It is given at once."""
    _decide(tenant, engagement, approved=True, package=package, version=version, by=by, reason=reason, as_json=as_json)


@access_app.command("decline")
def access_decline(
    engagement: EngagementArgument,
    package: PackageOption,
    by: AsOption,
    reason: WhyOption = None,
    version: VersionOption = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Refuse an engagement a package, or take an approval back. What was given is taken away."""
    _decide(tenant, engagement, approved=False, package=package, version=version, by=by, reason=reason, as_json=as_json)


@reviews_app.command("list")
def reviews_list(engagement: EngagementOption = None, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Reviews that wait for an answer; with --engagement, all there ever were of it."""
    from cli.access.decisions import review_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = review_rows(hub, name, engagement)
    if as_json:
        print_json(rows)
        return
    cells = [(f"{r['work_order']}\n{r['role']}", "\n".join(r["asked"]), second(r["due_at"]), _standing(r)) for r in rows]
    columns = ("work order, role", "who may answer", "until (UTC)", "stands")
    empty = f"there has been no review of {engagement}" if engagement else "no review waits for an answer"
    print_table("Access reviews", columns, cells, empty=empty)
    if any(row["answer"] is None for row in rows):
        print("Next: stint reviews answer WORK-ORDER keep|remove --as YOUR-ADDRESS")


@reviews_app.command("answer")
def reviews_answer(
    engagement: EngagementArgument,
    answer: Annotated[Answer, typer.Argument(help="keep: the access is still needed. remove: end the engagement.")],
    by: AsOption,
    reason: WhyOption = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Attest that an engagement still needs its access, or have it ended."""
    from cli.access.decisions import answer as take
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        taken = take(hub, name, engagement, answer, by=by, reason=reason)
    if as_json:
        print_json({"ok": True, **taken})
        return
    follows = {
        "ending": "its ending has begun",
        "given_back": "what was withheld is given back",
        "nothing_changes": "its access goes on",
    }
    print(f"{engagement}: {follows[taken['follows']]}")


def _decide(
    tenant: str | None,
    engagement: str,
    *,
    approved: bool,
    package: str,
    version: int | None,
    by: str,
    reason: str | None,
    as_json: bool,
) -> None:
    from cli.access.decisions import decide
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        decided = decide(hub, name, engagement, package=package, version=version, approved=approved, by=by, reason=reason)
    if as_json:
        print_json({"ok": True, **decided})
    else:
        follows = "what it gives is being given" if approved else "what it gave is being taken away"
        print(f"{engagement}: {package} v{decided['version']} is {decided['state']}; {follows}")


def _decision(row: Mapping[str, Any]) -> str:
    return f"{row['state']}, by {row['decided_by']}" if row["decided_by"] else str(row["state"])


def _when(row: Mapping[str, Any]) -> str:
    return "once approved" if row["waits_for_approval"] else "now"


def _standing(row: Mapping[str, Any]) -> str:
    """Where a review stands."""
    if row["answer"]:
        return f"{row['answer']}, by {row['answered_by']}"
    return "access withheld" if row["suspended_at"] else "escalated" if row["escalated_at"] else "asked"
