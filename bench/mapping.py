"""``python -m bench.mapping [--records N] [--rounds N] [--json]``: what mapping a record costs, and reading a mapping.

* ``mapping``: one record of 30 fields (nested objects, items of lists found by name, days, instants, exact amounts, tables, defaults,
  conditions, a demand) through the engine, which was built from YAML; by hand in Python; and with JMESPath for the reading and Python for
  the rest (``bench.mapped_by_hand`` says how these are written). The candidates give the same result, which is checked first, and
  take turns within each round; figures are medians of the rounds. ``refused`` is a record with five faults, of which the engine names
  each; ``lineage`` and ``explain`` are what is asked for in addition.
* ``memory``: of this process after 10,000 records and after ``--records``, each mapped and dropped.
* ``reading``: from the bytes of a mapping of 200 fields to what can be applied and has been held against both of its ends: read (with
  libyaml, and with PyYAML's own parser where there is no libyaml), compiled to a function, checked against JSON Schemas.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from statistics import median
from types import NoneType
from typing import Any

import psutil
import yaml

from bench.installation import cpus
from bench.mapped_by_hand import ByJmespath, by_hand
from mappings.check import check_mapping
from mappings.compiler import compile_plan
from mappings.document import read_document
from mappings.engine import CompiledMapping
from mappings.faults import Unmappable
from mappings.files import read_version
from mappings.plan import plan_of
from mappings.shelf import SHIPPED, Shelf

CALLS = 240
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array", NoneType: "null"}
FIELDS_READ = 200

Figures = dict[str, Any]
Record = Mapping[str, Any]
Candidate = Callable[[Record], object]

MAPPING = """\
mapping: bench__engagement
version: 1
effective_from: 2026-01-01
because: a record as systems for contingent work write it
demands:
  - that: {path: status, in: [Active, Approved]}
    because: only orders that are active or approved are mapped
fields:
  worker.given_name: {from: worker.firstName, apply: [strip], required: true, sensitive: true}
  worker.family_name: {from: worker.lastName, apply: [strip], required: true, sensitive: true}
  worker.display_name: {gather: [worker.firstName, worker.lastName], apply: [join], sensitive: true}
  worker.personal_email: {from: worker.email, apply: [strip, lower], required: true, sensitive: true}
  worker.phone: {from: worker.phone, apply: [strip, absent_if_empty], sensitive: true}
  worker.country: {from: worker.address.country, apply: [country_alpha2], required: true}
  worker.city: {from: worker.address.city, apply: [strip, absent_if_empty]}
  worker.postal_code: {from: worker.address.postalCode, apply: [text]}
  worker.kind: {value: contractor}
  terms.vms_id: {from: id, apply: [strip], required: true}
  terms.role:
    from: assignment.jobTitle
    lookup: {table: {Software Developer: developer, Data Analyst: analyst, Project Manager: manager, Designer: designer, Tester: tester}}
    required: true
  terms.client_unit: {from: assignment.businessUnit, apply: [strip], required: true}
  terms.supplier: {from: supplier.name, apply: [strip], required: true}
  terms.location: {from: assignment.site, apply: [strip], required: true}
  terms.time_zone: {from: assignment.timeZone, default: Europe/London}
  terms.starts_on: {from: assignment.start, apply: [{iso_date: {order: mdy}}], required: true}
  terms.ends_on: {from: assignment.end, apply: [{iso_date: {order: mdy}}], required: true}
  terms.approved_at: {from: approvedAt, apply: [absent_if_empty, iso_instant]}
  terms.rate.amount: {from: rates.pay, apply: [{decimal: {written: "1,234.5"}}, money], required: true}
  terms.rate.currency: {from: rates.currency, apply: [strip, upper], required: true}
  terms.rate.unit: {from: rates.unit, lookup: {table: {Hr: hour, Day: day, Mon: month}}, required: true}
  terms.hourly.amount:
    from: rates.pay
    apply: [{decimal: {written: "1,234.5"}}, {multiply: {by: "0.125"}}, {money: {places: 5}}]
    when: {path: rates.unit, equals: Day}
  terms.hours_per_week: {from: assignment.hoursPerWeek, apply: [decimal, text]}
  terms.sponsor_email: {from: "contacts[role=owner].email", apply: [strip], required: true}
  terms.manager_email: {from: "contacts[role=manager].email", apply: [strip]}
  terms.cost_center: {from: 'customFields[name="Cost Center"].value', apply: [strip], required: true}
  terms.project: {from: 'customFields[name=Project].value', default: none}
  terms.clearance: {from: 'customFields[name=Clearance].value', apply: [integer]}
  terms.is_remote: {from: assignment.remote, apply: [{boolean: {"true": ["Y"], "false": ["N"]}}], default: false}
  status: {from: status, apply: [lower]}
"""


def a_record(number: int) -> Record:
    """A record as the mapping expects it; every third is paid by the day, every fourth says less."""
    says_less = number % 4 == 0
    return {
        "id": f"WO-{number:08}",
        "status": "Active" if number % 2 else "Approved",
        "approvedAt": None if says_less else "2026-11-20T10:00:00.250-05:00",
        "worker": {
            "firstName": " Ada ",
            "lastName": f"Lovelace-{number}",
            "email": f"Ada.{number}@Example.org",
            "phone": "" if says_less else "+44 20 7946 0000",
            "address": {"country": "gb", "city": "London", "postalCode": 10117 if says_less else "SW1A 1AA"},
        },
        "supplier": {"id": 7, "name": "Acme Staffing"},
        "assignment": {
            "jobTitle": ("Software Developer", "Data Analyst", "Tester")[number % 3],
            "businessUnit": "Payments",
            "site": "LON-2",
            **({} if says_less else {"timeZone": "Europe/Berlin", "remote": "Y"}),
            "start": "11/23/2026",
            "end": f"{number % 12 + 1}/28/2027",
            "hoursPerWeek": "37.5",
        },
        "rates": {"pay": "1,234.50", "currency": " usd", "unit": ("Day", "Hr", "Mon")[number % 3]},
        "contacts": [
            {"role": "owner", "email": "grace@client.example"},
            {"role": "approver", "email": "edsger@client.example"},
            {"role": "manager", "email": "barbara@client.example"},
        ],
        "customFields": [
            {"name": "Badge", "value": "B-1"},
            {"name": "Cost Center", "value": "4711"},
            *([] if says_less else [{"name": "Project", "value": "Apollo"}]),
            {"name": "Clearance", "value": "3"},
            {"name": "Laptop", "value": None},
        ],
    }


def a_faulty_record(number: int) -> Record:
    """A record with five faults."""
    record = dict(a_record(number))
    record["assignment"] = {**record["assignment"], "jobTitle": "Wizard", "start": "23/11/2026", "site": None}
    record["rates"] = {**record["rates"], "pay": 1234.5, "unit": "Fortnight"}
    return record


def measure(records: int, rounds: int) -> Figures:
    """All figures."""
    return {
        "conditions": {"cpus": cpus(), "python": sys.version.split()[0], "records": records, "rounds": rounds},
        "mapping": _mapping(rounds),
        "memory": _memory(records),
        "reading": _reading(),
    }


def read(text: str) -> CompiledMapping:
    """The mapping that ``text`` says, as a file of it is read."""
    shelf = Shelf("bench__engagement", "bench", SHIPPED, {"v0001.yaml": text.encode()})
    version = read_version(shelf, "v0001")
    return CompiledMapping(version.mapping, label=version.label, content_sha256=version.sha256)


def _mapping(rounds: int) -> Figures:
    engine = read(MAPPING)
    records = [a_record(number) for number in range(1, 121)]
    faulty = [a_faulty_record(number) for number in range(1, 121)]
    candidates: dict[str, Candidate] = {
        "engine": engine.apply,
        "by hand": by_hand,
        "engine, with lineage": lambda record: engine.apply(record).lineage,
        "engine, explain": engine.explain,
    }
    try:
        candidates["JMESPath and Python"] = ByJmespath()
    except ModuleNotFoundError:
        print("JMESPath is not compared: it is not installed (pip install jmespath)", file=sys.stderr)
    _require_same(candidates, records)
    turns = {name: (candidate, records) for name, candidate in candidates.items()}
    assert all(len(engine.faults(record)) == 5 for record in faulty)
    turns["engine, refused"] = (_refusing(engine), faulty)
    return _figures(_in_turns(turns, rounds))


def _require_same(candidates: Mapping[str, Candidate], records: list[Record]) -> None:
    """Every candidate maps every record to the same values."""
    for record in records:
        wanted = candidates["engine"](record).values  # type: ignore[attr-defined]  # the engine's answer is a Mapped
        for name, candidate in candidates.items():
            if not name.startswith("engine"):
                assert candidate(record) == wanted, f"{name} differs"


def _refusing(engine: CompiledMapping) -> Candidate:
    def refused(record: Record) -> object:
        try:
            return engine.apply(record)
        except Unmappable as refusal:
            return refusal.faults

    return refused


def _in_turns(turns: Mapping[str, tuple[Candidate, list[Record]]], rounds: int) -> dict[str, list[float]]:
    """Seconds for one record in each round, by candidate."""
    spent: dict[str, list[float]] = {name: [] for name in turns}
    gc.disable()
    for _ in range(rounds):
        for name, (candidate, records) in turns.items():
            calls = list(islice(cycle(records), CALLS))
            began = time.perf_counter()
            for record in calls:
                candidate(record)
            spent[name].append((time.perf_counter() - began) / CALLS)
        gc.collect()
    gc.enable()
    return spent


def _figures(spent: Mapping[str, list[float]]) -> Figures:
    """Microseconds for one record, and how much quicker the engine is (below 1: slower), each the median of the rounds."""
    others = {name: each for name, each in spent.items() if not name.startswith("engine")}
    return {
        "us": {name: round(median(each) * 1e6, 2) for name, each in spent.items()},
        "times": {
            name: round(median(other / engine for other, engine in zip(each, spent["engine"], strict=True)), 2)
            for name, each in others.items()
        },
    }


def _memory(records: int) -> Figures:
    engine = read(MAPPING)
    process = psutil.Process()
    _run(engine, 10_000)
    before = process.memory_info().rss
    _run(engine, records)
    after = process.memory_info().rss
    return {
        "rss_mib_at_10000": _mib(before),
        f"rss_mib_at_{records}": _mib(after),
        "traced_kib_at_1000": _traced(engine, 1_000),
        "traced_kib_at_50000": _traced(engine, 50_000),
    }


def _run(engine: CompiledMapping, records: int) -> None:
    for number in range(records):
        engine.apply(a_record(number))


def _traced(engine: CompiledMapping, records: int) -> float:
    """What is held after as many records, in KiB, of what was allocated meanwhile."""
    gc.collect()
    tracemalloc.start()
    _run(engine, records)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(held / 1024, 1)


def _reading() -> Figures:
    text = _wide_mapping()
    engine = read(text)
    document = read_document(text.encode(), "v0001.yaml")
    records = [a_record(number) for number in range(1, 13)]
    ends = {
        "source_schema": described(records),
        "target_schema": described([engine.apply(record).values for record in records]),
    }
    found = check_mapping(document, engine.mapping, **ends)  # what optional items of lists may be, and twelve records never are
    parts: dict[str, Callable[[], object]] = {
        "read": lambda: read(text),
        "compiled": lambda: compile_plan(plan_of(engine.mapping, {}), "bench"),
        "checked against both ends": lambda: check_mapping(document, engine.mapping, **ends),
        "without libyaml, more": lambda: deque(yaml.parse(text, yaml.SafeLoader), 0),
        "with libyaml, of that": lambda: deque(yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), 0),
    }
    ms = {name: round(median(_spent(part) for _ in range(15)) * 1000, 1) for name, part in parts.items()}
    more = ms.pop("without libyaml, more") - ms.pop("with libyaml, of that")
    whole = sum(ms.values())
    ms |= {"in all": round(whole, 1), "in all, without libyaml": round(whole + more, 1)}
    return {"fields": len(engine.mapping.fields), "lines": text.count("\n"), "faults": len(found), "ms": ms}


def _spent(part: Callable[[], object]) -> float:
    began = time.perf_counter()
    part()
    return time.perf_counter() - began


def described(values: Sequence[object]) -> dict[str, Any]:
    """A JSON Schema that ``values`` keep to: their types, the names of objects and which of them are always there."""
    types = sorted({_TYPES[type(value)] for value in values})
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if objects := [value for value in values if isinstance(value, dict)]:
        names = dict.fromkeys(name for each in objects for name in each)
        schema["properties"] = {name: described([each[name] for each in objects if name in each]) for name in names}
        schema["required"] = [name for name in names if all(name in each for each in objects)]
    if items := [item for value in values if isinstance(value, list) for item in value]:
        schema["items"] = described(items)
    if "" not in values and "string" in types:
        schema["minLength"] = 1
    return schema


def _wide_mapping() -> str:
    """The mapping's own fields again and again below other names, until there are enough."""
    head, _, fields = MAPPING.partition("fields:\n")
    rules = [rule for rule in _rules(fields) if not rule.startswith("  status")]
    wide = [f"  part{number // len(rules)}.{rule.lstrip()}" for number, rule in enumerate(islice(cycle(rules), FIELDS_READ))]
    return head + "fields:\n" + "".join(wide)


def _rules(fields: str) -> list[str]:
    rules: list[str] = []
    for line in fields.splitlines(keepends=True):
        if line.startswith("   "):
            rules[-1] += line
        else:
            rules.append(line)
    return rules


def _mib(size: int) -> float:
    return round(size / 2**20, 1)


def _print(figures: Figures) -> None:
    print(f"{'one record of 30 fields':<28}{'us':>9}{'engine is quicker by':>24}")
    for name, cost in figures["mapping"]["us"].items():
        times = figures["mapping"]["times"].get(name)
        print(f"{name:<28}{cost:>9}{'' if times is None else f'x {times}':>24}")
    print(f"\nmemory   {json.dumps(figures['memory'])}")
    print(f"reading  {json.dumps(figures['reading'])}")
    print(json.dumps(figures["conditions"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.mapping", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=1_000_000, help="that memory is watched over")
    parser.add_argument("--rounds", type=int, default=200, help=f"of {CALLS} records through each candidate")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure(options.records, options.rounds)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures)


if __name__ == "__main__":
    main()
