"""The commands. Those that answer have ``--json``; ``worker`` and ``receiver`` only run. Each error says what to do next."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.access.commands import access_app, reviews_app, who_had_access
from cli.access.ending_commands import mount as mount_endings
from cli.access.reconcile_commands import reconcile_app
from cli.access.worker_commands import mount as mount_workers
from cli.mapping.commands import mappings_app
from cli.mistyped import Commands
from cli.options import EngagementArgument, TenantOption, id_argument
from cli.output import (
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    JsonFlag,
    errors_explained,
    fail,
    load_settings,
    print_json,
    print_table,
    second,
    short_instant,
)
from config.logs import configure_logs

if TYPE_CHECKING:
    from cli.replay import Prospect
    from config.services import Service

app = typer.Typer(
    cls=Commands,
    help="Stint: from the signed agreement to verified access, and to its verified end.",
    epilog="Exit codes: 0 done; 1 not possible now, not there, or verified and found wrong; 2 a fault in the configuration or the call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
config_app = typer.Typer(help="A tenant's configuration: connectors, access packages, calendars.", no_args_is_help=True)
connectors_app = typer.Typer(help="The catalogue of connectors, and the instances of them.", no_args_is_help=True)
engagements_app = typer.Typer(help="Engagements and their audit trail.", no_args_is_help=True)
failures_app = typer.Typer(help="What waits for a person.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit trail.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(connectors_app, name="connectors")
app.add_typer(mappings_app, name="mappings")
app.add_typer(engagements_app, name="engagements")
app.add_typer(failures_app, name="failures")
app.add_typer(audit_app, name="audit")
app.add_typer(access_app, name="access")
app.add_typer(reviews_app, name="reviews")
app.add_typer(reconcile_app, name="reconcile")
mount_workers(app)
mount_endings(app, engagements_app)
audit_app.command("who-had-access")(who_had_access)

# Commands import what they need when they run: `stint --help` and the supervisor stay small and quick.


@app.command()
def demo(
    as_json: JsonFlag = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up to look around, until Ctrl-C.")] = False,
    contractors: Annotated[
        int, typer.Option("--contractors", min=0, max=500, help="Engage so many more people, to look around with.")
    ] = 0,
) -> None:
    """Run the main job once, end to end, on real components and vendor sandboxes on this machine."""
    from cli.demo.story import run_demo

    with errors_explained(as_json=as_json):
        if not run_demo(as_json=as_json, keep=keep, contractors=contractors):
            raise typer.Exit(EXIT_FAILED)


@app.command()
def up(as_json: JsonFlag = False) -> None:
    """Start database, receiver, worker and Prefect's server, and run until Ctrl-C."""
    from cli.up import up as run_up

    settings = load_settings(as_json=as_json)
    with errors_explained(as_json=as_json):
        run_up(settings, as_json=as_json)


@app.command()
def worker() -> None:
    """Run one more worker in the foreground, on the database and Prefect server of the settings."""
    from config import services

    with errors_explained():
        _become(services.worker(load_settings()))


@app.command()
def receiver() -> None:
    """Run one more receiver in the foreground."""
    from config import services

    with errors_explained():
        _become(services.receiver(load_settings()))


@app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="A tenant's folder; without it, everything that is applied.")] = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also ask every system whether it lets us in.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Report every configuration fault at once, with file, key and the places searched. Exit code 2 if there is one."""
    from cli.check import as_rows, check_folder, check_installation

    settings = load_settings(as_json=as_json)
    with errors_explained(as_json=as_json):
        faults = check_folder(folder, settings, connect=connect) if folder else check_installation(settings, connect=connect)
    if as_json:
        print_json({"ok": not faults, "faults": as_rows(faults)})
    else:
        for fault in faults:
            sys.stderr.write(f"{fault}\n")
        print(f"{len(faults)} fault(s)" if faults else "no faults")
    if faults:
        raise typer.Exit(EXIT_CONFIGURATION)


@config_app.command("apply")
def config_apply(folder: Annotated[Path, typer.Argument(help="The tenant's folder.")], as_json: JsonFlag = False) -> None:
    """Make the folder the tenant's current version. Workers take it without a restart."""
    from cli.documents import apply
    from cli.installation import open_hub

    settings = load_settings(as_json=as_json)
    with errors_explained(as_json=as_json), open_hub(settings) as hub:
        tenant, version = apply(hub, folder)
    if as_json:
        print_json({"ok": True, "tenant": tenant, "version": version})
    else:
        print(f"{tenant}: version {version} is current")


@config_app.command("export")
def config_export(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")], tenant: TenantOption = None, as_json: JsonFlag = False
) -> None:
    """Write the tenant's current documents into a folder."""
    from cli.documents import export
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        version, files = export(hub, name, folder)
    if as_json:
        print_json({"ok": True, "version": version, "files": files})
    else:
        print(f"version {version}: {files} files in {folder}")


@connectors_app.command("list")
def connectors_list(as_json: JsonFlag = False) -> None:
    """The catalogue: what each connector does, its limits, and what its behaviour was held against."""
    from cli.catalogue import rows

    found = rows()
    if as_json:
        print_json(found)
        return
    columns = ("connector", "kind", "does", "limits", "evidence")
    cells = [(r["key"], ", ".join(r["kinds"]), ", ".join(r["capabilities"]), r["limits"], r["evidence"]) for r in found]
    print_table("Connectors (what is not here is served by files)", columns, cells, empty="no connectors")


@connectors_app.command("show")
def connectors_show(key: Annotated[str, typer.Argument(help="As in: stint connectors list.")], as_json: JsonFlag = False) -> None:
    """One connector: its settings form, its capabilities, and how it answers for each rule of the quality scale."""
    from cli.catalogue import detail, form_rows

    with errors_explained(as_json=as_json):
        found = detail(key)
    if as_json:
        print_json(found)
        return
    for name in ("title", "limits", "evidence"):
        print(f"{name:>12}  {found[name]}")
    print(f"{'does':>12}  {', '.join(found['capabilities'])}")
    form = list(form_rows(found["settings"]))
    print_table("Settings (connectors/<instance>.yaml)", ("field", "type", "", "what it is"), form, empty="it asks for nothing")
    quality = [(rule, answer["status"], answer.get("reason", "")) for rule, answer in found["quality"].items()]
    print_table("Quality", ("rule", "", "reason"), quality, empty="")


@connectors_app.command("check")
def connectors_check(
    instance: Annotated[str | None, typer.Argument(help="An instance of the tenant; without it, all of them.")] = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask the configured systems whether they let us in. Exit code 1 if one does not."""
    from cli.catalogue import check
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        answers = check(hub.tenant(name), instance)
    if as_json:
        print_json([{"instance": i.name, "connector": i.connector.key, "ok": a.ok, "detail": a.detail} for i, a in answers])
    else:
        cells = [(i.name, i.connector.key, "ok" if a.ok else "NOT OK", a.detail) for i, a in answers]
        print_table("Systems", ("instance", "connector", "", "answer"), cells, empty="no instances are configured")
    if not all(answer.ok for _, answer in answers):
        raise typer.Exit(EXIT_FAILED)


@connectors_app.command("schema")
def connectors_schema(
    instance: Annotated[str, typer.Argument(help="An instance of the tenant.")],
    write: Annotated[
        Path | None, typer.Option("--write", help="The tenant's folder, to keep it in as schemas/<instance>.yaml.")
    ] = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a system which fields this company has there: what mappings are checked against once it is kept in the tenant's folder."""
    from cli.schemas import field_rows, live_schemas, write_schemas
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        found = live_schemas(hub.tenant(name), instance)
        place = write_schemas(write, instance, found) if write else None
    if as_json:
        print_json({"ok": True, "file": place and str(place), **found})
    elif place:
        print(f"{place}\nNext: stint mappings validate {write}, and: stint config apply {write}")
    else:
        for end, schema in found.items():
            print_table(
                f"{instance}: {end}", ("field", "type", ""), list(field_rows(schema)), empty=f"{end}: the system does not tell"
            )


@connectors_app.command("new")
def connectors_new(
    key: Annotated[str, typer.Argument(help="Its name in the catalogue: lower-case letters and digits.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="vms, ats, hris, payroll, esign, screening, directory or notifier; +source, +sink … add what it can do besides.",
        ),
    ],
    title: Annotated[str | None, typer.Option("--title", help="The system's own name.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a connector that passes the conformance suite as it stands, to be changed into the real one."""
    from cli.scaffold import Draft, write

    with errors_explained(as_json=as_json):
        place = write(Draft.of(key, kind, title))
    if as_json:
        print_json({"ok": True, "folder": str(place)})
    else:
        print(f"{place}\nNext: docs/connectors/writing-one.md, and: .venv/bin/pytest tests/conformance -k {key}")


@engagements_app.command("list")
def engagements_list(tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Engagements, newest first."""
    from cli.reading import engagement_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = engagement_rows(hub, name)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    columns = ("work order", "state", "signed", "verified", "ends", "revoked")
    instants = [(r.signed_at, r.access_verified_at, r.end_at, r.revoked_verified_at) for r in rows]
    cells = [(r.vms_id, r.state, *map(short_instant, at)) for r, at in zip(rows, instants, strict=True)]
    print_table("Engagements (UTC; --json has everything in full)", columns, cells, empty="no engagements yet")


@engagements_app.command("show")
def engagements_show(
    engagement: EngagementArgument,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="Why each field in each system has its value, back to its source.")
    ] = False,
    field: Annotated[str | None, typer.Option("--field", help="Only this one, as the system or as Stint names it.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="Only what was written in this instance.")] = None,
    show_sensitive: Annotated[
        bool, typer.Option("--show-sensitive", help="Also rates, names, addresses. It is audited.")
    ] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """One engagement with its effects and its audit trail; with --lineage, where every written value came from."""
    from cli.reading import engagement_detail
    from cli.session import of_tenant

    if lineage or field or system or show_sensitive:
        _show_lineage(engagement, tenant, system=system, field=field, show_sensitive=show_sensitive, as_json=as_json)
        return
    with of_tenant(tenant, as_json=as_json) as (hub, name):
        detail = engagement_detail(hub, name, engagement)
    if as_json:
        print_json(detail)
        return
    for key, value in detail["engagement"].items():
        print(f"{key:>20}  {value if value is not None else ''}")
    print_table("Effects", ("system", "kind", "state", "attempts", "vendor id"), detail["effects"], empty="no effects yet")
    trail = [(e["seq"], second(e["at"]), e["action"], e["system"], e["outcome"]) for e in detail["audit"]]
    print_table("Audit trail", ("seq", "at (UTC)", "action", "system", "outcome"), trail, empty="no events yet")


@failures_app.command("list")
def failures_list(tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """What waits for a person, with its cause."""
    from cli.failures import failure_lines, failure_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = failure_rows(hub, name)
    if as_json:
        print_json(rows)
        return
    cells = [(f"{r['id']}\n{second(r['since'])}", "\n".join(failure_lines(r))) for r in rows]
    print_table("Failures", ("id, since (UTC)", "cause, and what to do"), cells, empty="nothing waits")
    if rows:
        print("Next: stint failures show ID; once it is mended: stint failures replay ID")


@failures_app.command("show")
def failures_show(
    failure: Annotated[UUID, id_argument("stint failures list")],
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """One line of the list with everything that is known about it."""
    from cli.failures import failure_detail
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        found = failure_detail(hub, name, failure)
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        print(f"{key:>14}  {value if value is not None else ''}")


@failures_app.command("replay")
def failures_replay(
    failure: Annotated[UUID | None, id_argument("stint failures list")] = None,
    cause: Annotated[str | None, typer.Option("--cause", help="All that share a cause, from: stint mappings drift.")] = None,
    only_preview: Annotated[
        bool, typer.Option("--preview", help="With --cause: show what would become of each; change nothing.")
    ] = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Try again what waits, once its cause is mended: one line, or all that share a cause."""
    from cli.replay import preview, replay, replay_cause
    from cli.session import of_tenant

    if (failure is None) == (cause is None) or (only_preview and cause is None):
        fail("give the id of a failure, or --cause KEY (and --preview)", EXIT_CONFIGURATION, as_json=as_json)
    with of_tenant(tenant, as_json=as_json) as (hub, name):
        if only_preview and cause is not None:
            _print_prospects(preview(hub, name, cause), as_json=as_json)
            return
        done = [replay(hub, name, failure)] if failure is not None else replay_cause(hub, name, cause or "")
    if as_json:
        print_json({"ok": True, "replayed": done})
    else:
        print("\n".join(f"{what} is tried again" for what in done))


def _print_prospects(prospects: list[Prospect], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"failure": str(p.failure.id), "subject": p.failure.subject, "mended": p.mended, "outcome": p.outcome}
                for p in prospects
            ]
        )
        return
    cells = [(p.failure.subject, "mended" if p.mended else "NOT YET", p.outcome) for p in prospects]
    print_table("Preview: nothing was changed", ("record", "", "what would become of it"), cells, empty="nothing waits")


@audit_app.command("verify")
def audit_verify(tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Verify the chain against the signed checkpoints outside the database. Exit code 1 if anything is wrong."""
    from cli.reading import verify_audit
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        report = verify_audit(hub, name)
    if as_json:
        print_json(report)
    elif report["ok"]:
        print(f"verified: {report['events']} events, {report['checkpoints']} checkpoints")
    if not report["ok"]:
        fail("the audit trail is not intact:\n  " + "\n  ".join(report["faults"]), EXIT_FAILED)


def _show_lineage(
    engagement: str, tenant: str | None, *, system: str | None, field: str | None, show_sensitive: bool, as_json: bool
) -> None:
    from cli.mapping.lineage import engagement_lineage, lineage_lines
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = engagement_lineage(hub, name, engagement, system=system, field=field, show_sensitive=show_sensitive)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print("\n".join(lineage_lines(row)))


def _become(service: Service) -> None:
    """Replace this process by the service, so that signals and the exit code are the service's own."""
    if service.folder is not None:
        service.folder.mkdir(parents=True, exist_ok=True)
        os.chdir(service.folder)
    os.execve(service.command[0], service.command, dict(service.environment))  # noqa: S606 - our own command line


def main() -> None:
    """The entry point of the ``stint`` command. What a command says is its answer; only warnings are logged."""
    configure_logs("stint", level=logging.WARNING)
    app()
