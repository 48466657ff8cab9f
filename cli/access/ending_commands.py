"""The commands about endings. ``mount`` puts them beside the others."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.options import EngagementArgument, ReasonOption, TenantOption, day, id_argument
from cli.output import EXIT_CONFIGURATION, JsonFlag, fail, print_json, print_lines, print_table, second

holds_app = typer.Typer(help="Legal holds: what of a person nothing may delete.", no_args_is_help=True)
evidence_app = typer.Typer(help="What a person states of something that only a person can see.", no_args_is_help=True)


def mount(app: typer.Typer, engagements_app: typer.Typer) -> None:
    """Add the commands: ``engagements end|extend|restore|closure``, ``holds …`` and ``evidence …``."""
    for name, command in (("end", end), ("extend", extend), ("restore", restore), ("closure", closure)):
        engagements_app.command(name)(command)
    app.add_typer(holds_app, name="holds")
    app.add_typer(evidence_app, name="evidence")


def end(
    engagement: EngagementArgument,
    reason: ReasonOption,
    now: Annotated[bool, typer.Option("--now", help="At this instant. It has to be said.")] = False,
    converted: Annotated[
        bool, typer.Option("--converted", help="The person goes on as an employee: the record in the HRIS stays HR's.")
    ] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """End a stint at once, in whatever state it is. It waits for no approval, and no later report of the VMS brings it back."""
    from cli.access.endings import end_now
    from cli.session import of_tenant

    if not now:
        fail("say --now to end it at this instant; an end on a day is set in the VMS", EXIT_CONFIGURATION, as_json=as_json)
    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = end_now(hub, name, engagement, reason, converted=converted)
    sentence = "the ending has begun; its access is being taken away"
    if told["had_begun"]:
        sentence = f"its ending had begun at {second(told['had_begun'])} UTC; it is a termination now, and no feed takes it back"
    _tell(told, f"{told['vms_id']}: {sentence}", as_json=as_json)


def extend(
    engagement: EngagementArgument,
    until: Annotated[
        date, typer.Option("--until", parser=day, metavar="DAY", help="The new last day at the work location: 2027-06-30.")
    ],
    reason: ReasonOption,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let a stint run longer, until the VMS says something new of its end. One that has just run out goes on."""
    from cli.access.endings import extend as extended
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = extended(hub, name, engagement, until, reason)
    _tell(told, f"{told['vms_id']}: {told['state']}, {_until(told)}", as_json=as_json)


def restore(
    engagement: EngagementArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Ask for it: why it shall go on.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Confirm what somebody else asked for.")] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take an ending back: exactly what it took away is given again. Whoever asks cannot confirm, unless tenant.yaml allows it."""
    from cli.access.endings import ask_restore, confirm_restore
    from cli.session import of_tenant

    if confirm == (reason is not None):
        fail("give --reason to ask for it, or --confirm to confirm it", EXIT_CONFIGURATION, as_json=as_json)
    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = ask_restore(hub, name, engagement, reason) if reason is not None else confirm_restore(hub, name, engagement)
    done = f"{told['vms_id']}: {told['state']}, {_until(told)}; its access is being given back"
    waits = f"{told['vms_id']}: asked for; somebody else confirms it: stint engagements restore {engagement} --confirm"
    if told["end_has_passed"]:
        waits += "\nFirst have the VMS say a later end: the one that it says has passed, and there is no stint to go on with"
    _tell(told, waits if told["restore_asked_by"] else done, as_json=as_json)


def closure(
    engagement: EngagementArgument,
    number: Annotated[
        int | None, typer.Option("--ending", min=1, help="Which ending; without it, the last that was closed.")
    ] = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The closure record: what was proven gone where and when, what was left and why, and how long access outlived the end."""
    from cli.access.closure import closure_lines
    from cli.access.endings import closure as closed
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        record, later = closed(hub, name, engagement, number)
    if as_json:
        print_json(record)
    else:
        print_lines(closure_lines(record, later), hanging=16)


@holds_app.command("place")
def holds_place(
    whom: Annotated[str, typer.Argument(help="An engagement (its id, or the work order's), or the worker's id.")],
    matter: Annotated[str, typer.Option("--matter", help="What it is for.")],
    scope: Annotated[str, typer.Option("--scope", help="What it covers, in your words.")] = "everything",
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Hold everything of a person. Access still ends in time; nothing is deleted and no licence that keeps something is reclaimed."""
    from cli.access.endings import place_hold
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = place_hold(hub, name, key=whom, matter=matter, scope=scope)
    _tell(told, f"hold {told['id']} stands on {told['marker']}, whoever engages them", as_json=as_json)


@holds_app.command("release")
def holds_release(
    hold: Annotated[UUID, id_argument("stint holds list")],
    reason: ReasonOption,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Release a hold. Where none stands any more, the licences that it kept are reclaimed."""
    from cli.access.endings import release_hold
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = release_hold(hub, name, hold, reason)
    _tell(told, f"hold {told['id']} is released", as_json=as_json)


@holds_app.command("list")
def holds_list(
    released: Annotated[bool, typer.Option("--released", help="Also those that were released.")] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The holds that stand."""
    from cli.access.endings import hold_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = hold_rows(hub, name, released=released)
    if as_json:
        print_json(rows)
        return
    cells = [(f"{r['id']}\n{r['marker']}", f"{r['matter']}\n{r['scope']}", _stood(r)) for r in rows]
    print_table("Holds", ("id, person", "matter, scope", "since (UTC)"), cells, empty="no holds")


@evidence_app.command("give")
def evidence_give(
    engagement: EngagementArgument,
    subject: Annotated[str, typer.Option("--subject", help="What it is about: licences, a licence's id, badge …")],
    statement: Annotated[str, typer.Option("--statement", help="What you did or saw, and where it can be looked up.")],
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """State what only a person can see, for the closure record. Licences that waited for it are reclaimed."""
    from cli.access.endings import give_evidence
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        told = give_evidence(hub, name, engagement, subject=subject, statement=statement)
    _tell(told, f"kept: {told['subject']}, by {told['given_by']}", as_json=as_json)


@evidence_app.command("list")
def evidence_list(engagement: EngagementArgument, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Everything that people stated about an engagement, also after its closure record was written."""
    from cli.access.endings import evidence_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = evidence_rows(hub, name, engagement)
    if as_json:
        print_json(rows)
        return
    cells = [(r["subject"], r["statement"], _by(r, "given")) for r in rows]
    print_table("Evidence", ("subject", "statement", "given (UTC)"), cells, empty="nobody stated anything")


def _until(told: dict[str, Any]) -> str:
    """Until when a stint goes on; a last day is the work location's."""
    instant = f"{second(told['end_at'])} UTC"
    return f"until the end of {told['last_day']} at the work location ({instant})" if told["last_day"] else f"until {instant}"


def _stood(row: dict[str, Any]) -> str:
    """Since when and by whom a hold stands, and when it was released."""
    released = f"\nreleased {_by(row, 'released')}" if row["released_at"] else ""
    return _by(row, "placed") + released


def _by(row: dict[str, Any], what: str) -> str:
    """``2026-09-30 12:00:07 by ada``; nothing where it was not done."""
    at = row[f"{what}_at"]
    return f"{second(at)} by {row[f'{what}_by']}" if at else ""


def _tell(told: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, **told})
    else:
        print(sentence)
