"""The commands ``stint mappings …``: which version of a mapping counts, what another would change, and putting it in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import EngagementArgument, ReasonOption, TenantOption
from cli.output import EXIT_CONFIGURATION, JsonFlag, errors_explained, load_settings, print_json, print_table
from workforce.versions import Running

if TYPE_CHECKING:
    from flows.mapping.promotion import Promoting
    from ledger.mapping.promotions import Promotion

mappings_app = typer.Typer(help="Field mappings: versions, dry runs, promotions, drift.", no_args_is_help=True)

MappingArgument = Annotated[str, typer.Argument(help="As in: stint mappings list (such as fieldglass__engagement).")]
RunningOption = Annotated[
    Running,
    typer.Option(
        "--running", help="Running engagements: pin (each keeps its version), migrate (now), drain (with its next change)."
    ),
]
SensitiveOption = Annotated[
    bool, typer.Option("--show-sensitive", help="Show sensitive values instead of a mask. It is audited.")
]


@mappings_app.command("list")
def mappings_list(tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Every mapping with the version in force, those there are, and how many running engagements are pinned to which."""
    from cli.mapping.versions import mapping_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = mapping_rows(hub, name)
    if as_json:
        print_json(rows)
        return
    cells = [
        (r["mapping"], r["in_force"] or "none used yet", " ".join(r["versions"]), _counts(r["engagements"]), _awaited(r))
        for r in rows
    ]
    print_table("Mappings", ("mapping", "in force", "versions", "running engagements", "awaited"), cells, empty="no mappings")


@mappings_app.command("show")
def mappings_show(
    mapping: MappingArgument,
    version: Annotated[str | None, typer.Argument(help="Such as v0001 or t0002; without it, the one in force.")] = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """One version as it works: with its base, if it has one."""
    from cli.mapping.versions import version_text
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        label, text = version_text(hub, name, mapping, version)
    if as_json:
        print_json({"mapping": mapping, "version": label, "yaml": text})
    else:
        print(f"# {mapping} {label}\n{text}", end="")


@mappings_app.command("new")
def mappings_new(
    mapping: MappingArgument,
    folder: Annotated[Path, typer.Argument(help="The tenant's folder (a checkout of what is applied).")],
    because: Annotated[str, typer.Option("--because", help="Why the version exists; it stands in the file.")],
    as_json: JsonFlag = False,
) -> None:
    """Begin the tenant's next version in its folder: over the library's, or as a copy of its own newest one."""
    from cli.mapping.draft import draft

    with errors_explained(as_json=as_json):
        begun = draft(folder, mapping, because)
    if as_json:
        print_json({"ok": True, "file": str(begun.version), "examples": str(begun.examples)})
    else:
        print(f"{begun.version}\n{begun.examples}\nNext: edit both, then: stint mappings validate {folder}")


@mappings_app.command("validate")
def mappings_validate(
    folder: Annotated[Path | None, typer.Argument(help="A tenant's folder; without it, what is applied.")] = None,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Every fault at once, with file, line and column: files, tables, examples, and both ends. Exit code 2 if there is one."""
    from cli.check import as_rows
    from cli.mapping.versions import applied_faults, folder_faults
    from cli.session import of_tenant
    from config.secrets import SecretStore

    if folder is not None:
        settings = load_settings(as_json=as_json)
        with errors_explained(as_json=as_json):
            faults = folder_faults(folder, SecretStore(settings.secrets))
    else:
        with of_tenant(tenant, as_json=as_json) as (hub, name):
            faults = applied_faults(hub, name)
    if as_json:
        print_json({"ok": not faults, "faults": as_rows(faults)})
    else:
        print("\n".join(map(str, faults)) if faults else "no faults")
    if faults:
        raise typer.Exit(EXIT_CONFIGURATION)


@mappings_app.command("diff")
def mappings_diff(
    mapping: MappingArgument,
    old: Annotated[str, typer.Argument(help="A version, such as v0001.")],
    new: Annotated[str, typer.Argument(help="Another, such as t0001.")],
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """How two versions differ by what they mean; order and layout of the files do not count."""
    from cli.mapping.versions import compare
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        found, conflicts = compare(hub.tenant(name).mappings, mapping, old, new)
    if as_json:
        print_json({"differences": [asdict(d) for d in found], "conflicts": [asdict(c) for c in conflicts]})
        return
    cells = [(d.place, d.aspect, d.before, d.after) for d in found]
    print_table(f"{mapping}: {old} → {new}", ("field", "what", old, new), cells, empty="they mean the same")
    for conflict in conflicts:
        print(f"conflict with the newest shipped version: {conflict}")


@mappings_app.command("dry-run")
def mappings_dry_run(
    mapping: MappingArgument,
    version: Annotated[str, typer.Argument(help="The version to rehearse.")],
    last: Annotated[int, typer.Option("--last", min=1, help="How many of the records that were read last.")] = 500,
    running: RunningOption = Running.MIGRATE,
    offline: Annotated[bool, typer.Option("--offline", help="Compare with what was written last; ask no system.")] = False,
    show_each: Annotated[bool, typer.Option("--each", help="Show every field of every record, not a summary.")] = False,
    show_sensitive: SensitiveOption = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay recorded records through today's version and another: what changes, and what would be written where. Writes nothing."""
    from cli.mapping.rehearsing import coverage, held_rows, progress_shown, rehearsal_rows, summary_rows
    from cli.masks import note_shown
    from cli.session import of_tenant
    from flows.mapping.rehearsal import Rehearsing

    with of_tenant(tenant, as_json=as_json) as (hub, name), progress_shown(quiet=as_json) as progress:
        shown = Rehearsing(hub, name, mapping, version, running, offline, progress).run(last)
        if show_sensitive:
            note_shown(hub, name, mapping, version=version, records=f"the last {shown.records}")
    rows = rehearsal_rows(shown, sensitive=show_sensitive)
    if as_json:
        print_json(rows)
        return
    print(coverage(shown))
    if show_each:
        cells = [(r["system"], r["subject"], r["target"], r["before"], r["after"]) for r in [*rows["changes"], *rows["writes"]]]
        print_table("Changes", ("system", "record", "field", "before", "after"), cells, empty="nothing changes")
    else:
        print_table(
            "Changes",
            ("system", "field", "records", "for example"),
            summary_rows(shown, sensitive=show_sensitive),
            empty="nothing changes",
        )
    print_table(
        "Would be set aside",
        ("system", "records", "", "for example", "why"),
        held_rows(shown, each=show_each),
        empty="nothing is set aside",
    )
    if shown.mended:
        print(f"mended: {len(shown.mended)} records that today's version sets aside, such as {shown.mended[0]}")


@mappings_app.command("promote")
def mappings_promote(
    mapping: MappingArgument,
    version: Annotated[str, typer.Argument(help="The version to put in force.")],
    reason: ReasonOption,
    running: RunningOption = Running.PIN,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Put a version in force, from its business date on. Where the tenant demands a second person, it waits for approval."""
    _decided(tenant, mapping, lambda ours: ours.promote(mapping, version, reason=reason, running=running), as_json=as_json)


@mappings_app.command("migrate")
def mappings_migrate(
    mapping: MappingArgument,
    engagement: EngagementArgument,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Move one running engagement to the version in force: a pilot, before the others follow or keep theirs."""
    from cli.mapping.versions import migrate_one
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        migrate_one(hub, name, mapping, engagement)
    if as_json:
        print_json({"ok": True, "mapping": mapping, "engagement": engagement})
    else:
        print(f"{engagement} moves to the version of {mapping} in force")


@mappings_app.command("rollback")
def mappings_rollback(
    mapping: MappingArgument,
    reason: ReasonOption,
    to: Annotated[str | None, typer.Option("--to", help="The version; without it, the one before this one.")] = None,
    running: RunningOption = Running.MIGRATE,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Go back to an earlier version; running engagements come along, unless told otherwise."""
    _decided(tenant, mapping, lambda ours: ours.roll_back(mapping, to, reason=reason, running=running), as_json=as_json)


@mappings_app.command("approve")
def mappings_approve(mapping: MappingArgument, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Approve the version that waits for a second person."""
    _decided(tenant, mapping, lambda ours: ours.approve(mapping), as_json=as_json)


@mappings_app.command("withdraw")
def mappings_withdraw(mapping: MappingArgument, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Take back the version that waits for a second person."""
    _decided(tenant, mapping, lambda ours: ours.withdraw(mapping), as_json=as_json)


@mappings_app.command("history")
def mappings_history(mapping: MappingArgument, tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """Who put which version in force, when, and why; the newest first."""
    from cli.mapping.versions import history_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = history_rows(hub, name, mapping)
    if as_json:
        print_json(rows)
        return
    cells = [
        (r["version"], (r["decided_at"] or r["proposed_at"])[:16], _what(r), r["decided_by"] or r["proposed_by"], r["reason"])
        for r in rows
    ]
    columns = ("version", "at (UTC)", "what", "by", "reason")
    print_table(f"{mapping}", columns, cells, empty="no version was used yet")


@mappings_app.command("drift")
def mappings_drift(tenant: TenantOption = None, as_json: JsonFlag = False) -> None:
    """What changed on the other side, how many records wait for it, and an edit to start from."""
    from cli.mapping.drift import drift_lines, drift_rows
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        rows = drift_rows(hub, name)
    if as_json:
        print_json(rows)
        return
    if not rows:
        print("no drift: nothing waits for a mapping")
    for row in rows:
        print("\n".join(drift_lines(row)), end="\n\n")


@mappings_app.command("explain")
def mappings_explain(
    mapping: MappingArgument,
    record: Annotated[
        str, typer.Argument(help="The source's id of a record that was read; for a mapping to a system, the engagement.")
    ],
    version: Annotated[str | None, typer.Option("--version", help="Without it, the one in force.")] = None,
    show_sensitive: SensitiveOption = False,
    tenant: TenantOption = None,
    as_json: JsonFlag = False,
) -> None:
    """How each field of one recorded record comes about: what is read, every transform, the result."""
    from cli.mapping.explaining import explained, explanation
    from cli.masks import note_shown
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        label, fields = explanation(hub, name, mapping, version, record)
        if show_sensitive:
            note_shown(hub, name, mapping, version=label, records=record)
    rows = [explained(field, hidden=is_sensitive and not show_sensitive) for field, is_sensitive in fields]
    if as_json:
        print_json({"mapping": mapping, "version": label, "fields": rows})
        return
    cells = [(r["target"], r["read"], r["steps"], r["result"]) for r in rows]
    print_table(f"{mapping} {label} on {record}", ("field", "reads", "steps", "result"), cells, empty="no fields")


def _decided(tenant: str | None, mapping: str, decide: Callable[[Promoting], Promotion], *, as_json: bool) -> None:
    """Run one decision and tell what it did, and whom it touches."""
    from cli.mapping.versions import promoted, promoting, whom_it_touches
    from cli.session import of_tenant

    with of_tenant(tenant, as_json=as_json) as (hub, name):
        whom = whom_it_touches(hub, name, mapping)
        told = promoted(decide(promoting(hub, name)), whom)
    if as_json:
        print_json(told)
        return
    print(
        f"{mapping} {told['version']}: {told['state']}, from {told['effective_from']} on; running engagements: {told['running']}"
    )
    print(
        f"it touches {_counts(told['running_engagements']) or 'no running engagement'}; systems: {', '.join(told['systems']) or 'none'}"
    )
    if told["waits_for_a_second_person"]:
        print(f"it waits for a second person: stint mappings approve {mapping}")


def _counts(counts: Any) -> str:
    return ", ".join(f"{number} on {label}" for label, number in sorted(counts.items()))


def _awaited(row: Any) -> str:
    """What is about to come in force: with its date, or with a second person's approval."""
    coming = [f"{label} from {day} on" for label, day in row["coming"].items()]
    return ", ".join([*coming, *([f"{row['proposed']} proposed"] if row["proposed"] else [])])


def _what(line: Any) -> str:
    """One line of a mapping's history in words."""
    kind = line["kind"].replace("_", " ")
    if line["state"] != "promoted":
        return f"{kind}, {line['state']}"
    return kind if kind == "first use" else f"{kind}; running: {line['running']}"
