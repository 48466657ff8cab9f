"""The commands ``stint reconcile …``: what directories show, held against what they should, and what the brake holds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from cli.options import ReasonOption, TenantOption, id_argument
from cli.output import EXIT_CONFIGURATION, JsonFlag, fail, print_json, print_table, second
from provisioning.policies import Drift

reconcile_app = typer.Typer(
    help="Directories held against what should be; what the brake on mass change holds.", no_args_is_help=True
)

DirectoryOption = Annotated[str | None, typer.Option("--directory", help="Only this instance.")]
ChangeArgument = Annotated[UUID | None, id_argument("stint reconcile held")]
SourceOption = Annotated[str | None, typer.Option("--source", help="All that is held of this feed or directory.")]
_SAID = {
    "at": "changed at",
    "by": "changed by",
    "likely": "most likely",
    "since": "its ending began",
    "was": "ended at",
    "ends_at": "would end at",
    "terminates": "terminated there",
    "version": "version of the record",
}


@reconcile_app.command("run")
def reconcile_run(
    directory: DirectoryOption = None,
    full: Annotated[bool, typer.Option("--full", help="Every account (the default).")] = False,
    recent: Annotated[bool, typer.Option("--recent", help="Only the accounts of those who left lately.")] = False,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what the directory says has changed since the last run.")
    ] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Read directories now, list what deviates, and mend what the policy allows."""
    from cli.access.reconciliation import run
    from cli.session import of_tenant
    from ledger.reconciliation.reconciliations import Scope

    if full + recent + changed > 1:
        fail("give one of --full, --recent and --changed", EXIT_CONFIGURATION, as_json=as_json)
    scope = Scope.RECENTLY_ENDED if recent else Scope.CHANGED if changed else Scope.FULL
    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = run(hub, name, directory, scope)
    if as_json:
        print_json(rows)
        return
    cells = [
        (r["directory"], r["scope"], r["accounts_read"], r["findings"], r["mended"], "HELD" if r["held"] else "") for r in rows
    ]
    print_table("Reconciled", ("directory", "scope", "read", "open findings", "mended", ""), cells, empty="no directories")
    if any(row["held"] for row in rows):
        print("The brake is on: nothing of what is held was mended. Next: stint reconcile held")
    elif any(row["findings"] for row in rows):
        print("Next: stint reconcile findings")


@reconcile_app.command("findings")
def reconcile_findings(
    directory: DirectoryOption = None,
    drift: Annotated[Drift | None, typer.Option("--drift", help="Only this kind.")] = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What deviates, one line while it stands."""
    from cli.access.reconciliation import finding_rows, last_read
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = finding_rows(hub, name, directory=directory, drift=drift)
        read = last_read(hub, name, directory)
    if as_json:
        print_json(rows)
        return
    cells = [
        (
            f"{r['drift']}\n{second(r['since'])}\nseen {r['times']} time(s)",
            f"{r['directory']}: {r['work_order'] or 'no engagement'}\n{r['account'] or 'no account'}",
            "\n".join(filter(None, [r["subject"], *detail_lines(r["details"])])),
        )
        for r in rows
    ]
    columns = ("drift, since (UTC)", "directory, work order, account", "what")
    print_table("Findings", columns, cells, empty=f"no {drift or 'drift'} is known")
    for each, at in read.items():
        print(f"{each}: read whole {f'at {second(at)} UTC' if at else 'NEVER; next: stint reconcile run'}")


@reconcile_app.command("held")
def reconcile_held(source: SourceOption = None, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """What was too much at once and waits for a person."""
    from cli.access.reconciliation import held_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = held_rows(hub, name, source=source)
    if as_json:
        print_json(rows)
        return
    cells = [
        (
            f"{r['id']}\n{second(r['since'])}",
            "\n".join([f"{r['source']}, {r['kind'].replace('_', ' ')}: {r['subject']}", *detail_lines(r["details"])]),
        )
        for r in rows
    ]
    empty = f"nothing of {source!r} is held" if source else "nothing is held"
    print_table("Held by the brake", ("id, since (UTC)", "source, and what"), cells, empty=empty)
    if rows:
        print("Next: stint reconcile release|discard ID --reason …, or --source SOURCE for all of it")


@reconcile_app.command("release")
def reconcile_release(
    reason: ReasonOption,
    change: ChangeArgument = None,
    source: SourceOption = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let held changes happen: an order is read again and taken as it is then, a directory is reconciled again."""
    _decide(change, source, tenant, release=True, reason=reason, as_json=as_json)


@reconcile_app.command("discard")
def reconcile_discard(
    reason: ReasonOption,
    change: ChangeArgument = None,
    source: SourceOption = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Throw held changes away: this version of an order is never taken, this finding is not mended."""
    _decide(change, source, tenant, release=False, reason=reason, as_json=as_json)


def _decide(change: UUID | None, source: str | None, tenant: str | None, *, release: bool, reason: str, as_json: bool) -> None:
    from cli.access.reconciliation import decide
    from cli.session import of_tenant

    if (change is None) == (source is None):
        fail("give the id of a held change, or --source NAME for all of it", EXIT_CONFIGURATION, as_json=as_json)
    with of_tenant(tenant, as_json=as_json) as (hub, name):
        number = decide(hub, name, change, source, release=release, reason=reason)
    if as_json:
        print_json({"ok": True, "changes": number})
    else:
        print(f"{number} {'released: they are being done' if release else 'discarded'}")


def detail_lines(details: dict[str, object]) -> list[str]:
    """``most likely: no start event was seen``, a line each. What the subject says already is left out."""
    return [
        f"{_SAID.get(name, name.replace('_', ' '))}: {_plain(value)}"
        for name, value in details.items()
        if value is not None and name not in {"kind", "id", "blocked"}
    ]


def _plain(value: object) -> str:
    """A value for people: ``yes``, and instants in UTC to the second; anything else as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return f"{second(at)} UTC" if at.tzinfo else str(value)
