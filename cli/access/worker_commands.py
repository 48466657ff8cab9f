"""The commands ``stint workers …``. ``mount`` puts them beside the others."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from cli.options import EngagementArgument, TenantOption
from cli.output import JsonFlag, print_json, print_table

workers_app = typer.Typer(help="Persons: who is who, who answers for them, what they first sign in with.", no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit trail. No names: it cannot be taken out again.")]
CaseArgument = Annotated[UUID, typer.Argument(help="As in: stint workers cases.")]
MarkerArgument = Annotated[str, typer.Argument(help="The person's marker, as it stands on their accounts.")]

_QUESTIONS = {"possible_same_person": "is this new one", "another_person": "is whom it names now"}
"""What a case asks, before the marker of the known person."""


def mount(app: typer.Typer) -> None:
    """Add ``workers``."""
    app.add_typer(workers_app, name="workers")


@workers_app.command("show")
def show(marker: MarkerArgument, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """One person by ids alone: engagements, and whether something speaks against another one."""
    from cli.access.identity import show_worker
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = show_worker(hub, name, marker)
    if as_json:
        print_json(told)
        return
    print(f"{told['marker']} (worker {told['worker']})")
    print(f"  {'has a login' if told['has_login'] else 'has no login'}, {told['former_logins']} former login(s) kept as aliases")
    print(f"  do not rehire: {told['do_not_rehire'] or 'no'}")
    cells = [(each["vms_id"], each["state"], each["engagement"]) for each in told["engagements"]]
    print_table("Engagements", ("work order", "state", "id"), cells, empty="none")


@workers_app.command("cases")
def cases(
    decided: Annotated[bool, typer.Option("--decided", help="Also those that were decided.")] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Who may be the same person: somebody new who looks like somebody known, and whom a known work order suddenly names.

    Compare in the VMS, then decide.
    """
    from cli.access.identity import case_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = case_rows(hub, name, decided=decided)
    if as_json:
        print_json(rows)
        return
    columns = ("case", "question", "work order", "may be", "who has", "alike in", "decision")
    cells = [
        (
            r["case"],
            _QUESTIONS[r["question"]],
            r["engagement"],
            r["looks_like"],
            "\n".join(r["their_work_orders"]),
            "\n".join(r["alike"]),
            f"{r['decision']}, by {r['decided_by']}" if r["decision"] else "",
        )
        for r in rows
    ]
    print_table("Possibly the same person", columns, cells, empty="nobody looks like somebody else")
    if any(row["decision"] is None for row in rows):
        print("Next: compare the work orders in the VMS, then: stint workers same|different CASE --reason …")


@workers_app.command("same")
def same(case: CaseArgument, reason: ReasonOption, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """The two are one person: the engagement is the known person's, with their account and nothing of what they had before.

    Of a work order that names another person: it is the same human after all, and the work order is read again and taken.
    """
    _decide(case, reason, tenant, same=True, as_json=as_json)


@workers_app.command("different")
def different(case: CaseArgument, reason: ReasonOption, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """The two are two persons: the engagement goes on with an account of its own.

    Of a work order that names another person: nothing of it is taken; end the engagement, and have the VMS make a new one.
    """
    _decide(case, reason, tenant, same=False, as_json=as_json)


@workers_app.command("do-not-rehire")
def do_not_rehire(
    marker: MarkerArgument,
    reason: ReasonOption,
    lift: Annotated[bool, typer.Option("--lift", help="Take it back; what waited for nothing else goes on.")] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Have each new engagement of a person wait for a reviewer. What runs already goes on; end it where it shall not."""
    from cli.access.identity import do_not_rehire as mark
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = mark(hub, name, marker, reason=reason, lift=lift)
    waits = "new engagements wait for a reviewer" if told["do_not_rehire"] else "new engagements wait for nobody"
    _tell(told, f"{told['marker']}: {waits}" + "".join(f"\n{order} goes on" for order in told["goes_on"]), as_json=as_json)


@workers_app.command("accept")
def accept(engagement: EngagementArgument, reason: ReasonOption, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Let this one engagement go on of a person who is marked do-not-rehire. The mark stays."""
    from cli.access.identity import accept as accepted
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = accepted(hub, name, engagement, reason)
    _tell(told, f"{told['vms_id']}: {told['state']}", as_json=as_json)


@workers_app.command("sponsor-left")
def sponsor_left(
    sponsor: Annotated[str, typer.Argument(help="The address of the manager who left.")],
    preview: Annotated[bool, typer.Option("--preview", help="Only show for whom, and who answers now.")] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Have the successor in tenant.yaml answer for a manager's contractors; those without one are put on the failure list."""
    from cli.access.identity import sponsor_left as left
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = left(hub, name, sponsor, preview=preview)
    if as_json:
        print_json(rows)
        return
    cells = [(r["vms_id"], r["state"], r["successor"] or "NOBODY") for r in rows]
    title = "Preview: nothing was changed" if preview else "Who answers now"
    print_table(title, ("work order", "state", "who answers now"), cells, empty="they answered for nobody")


@workers_app.command("credential-link")
def credential_link(engagement: EngagementArgument, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Print a fresh one-time link to what a person first signs in with. Whoever opens it has the account: give it to nobody else."""
    from cli.access.identity import credential_link as make
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = make(hub, name, engagement)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print(f"{row['directory']}  {row['link']}")
    hours = rows[0]["valid_hours"] if rows else 0
    print(f"Each opens once, within {hours} hours. Links that were made before and not opened stop working.")
    if rows and not rows[0]["reachable"]:
        print(
            "They open on this machine alone: access.credentials.page_address in tenant.yaml says where a browser reaches the page."
        )


def _decide(case: UUID, reason: str, tenant: str | None, *, same: bool, as_json: bool) -> None:
    from cli.access.identity import decide
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = decide(hub, name, case, same=same, reason=reason)
    to_do = f"\nNext: {told['next']}" if told["next"] else ""
    _tell(told, f"{told['vms_id']}: {told['state']}, the person is {told['marker']}{to_do}", as_json=as_json)


def _tell(told: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, **told})
    else:
        print(sentence)
