"""What an author might write to get out of a mapping: each attempt is refused with its place, or is text like any other.

The attempts run in a process of their own, where an audit hook notes whatever Python reports: opened files, imports, sockets, code that is
compiled or run. Nothing is reported but the compiler compiling and running its own source, once for each mapping that is accepted. That the
hook would see more is proved by holes: the same attempts, with one thing done besides.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from pydantic import ValidationError

from mappings.compiler import generate
from mappings.document import read_document
from mappings.engine import CompiledMapping
from mappings.faults import FaultyMapping, Unmappable
from mappings.model import MappingFile
from mappings.plan import plan_of

ROOT = Path(__file__).resolve().parents[3]
FILE = "attempt.yaml"
MANY_LESS = 97
"""A hole is tried with one in so many attempts."""

HEAD = {
    "mapping": "a__b",
    "version": "1",
    "effective_from": "2026-01-01",
    "because": "a test",
}
RULE = "{from: a}"

# Where text may stand: the lines of a document with @ for the attempt. The rest of the document is as it should be.
PLACES: dict[str, str] = {
    **{f"the head's {key}": f"{key}: @" for key in HEAD},
    "base": "base: @",
    "removes": "base: v0001\nremoves: [@]",
    "source_fields": "source_fields: @",
    "ignores": "ignores: [@]",
    "an unknown key": "@: 1",
    "a demand's reason": "demands:\n  - that: {path: a, is: present}\n    because: @",
    "a demand's path": "demands:\n  - that:\n      path: @\n      is: present\n    because: needed",
    "a demand": "demands:\n  - @",
    "a target": "fields:\n  @: {from: a}",
    "a nested target": "fields:\n  out:\n    @: 1",
    "a rule": "fields:\n  out: @",
    "from": "fields:\n  out:\n    from: @",
    "gather": "fields:\n  out:\n    gather:\n      - a\n      - @\n    apply: [join]",
    "value": "fields:\n  out:\n    value: @",
    "clear": "fields:\n  out:\n    clear: @",
    "default": "fields:\n  out:\n    from: nothing\n    default: @",
    "a transform": "fields:\n  out:\n    from: a\n    apply:\n      - @",
    "a transform with parameters": "fields:\n  out:\n    from: a\n    apply:\n      - @: {places: 2}",
    "a parameter's name": "fields:\n  out:\n    from: a\n    apply:\n      - concat:\n          @: x",
    "a parameter": "fields:\n  out:\n    from: a\n    apply:\n      - concat:\n          after: @",
    "a parameter of choice": "fields:\n  out:\n    from: a\n    apply:\n      - iso_date:\n          order: @",
    "a factor": "fields:\n  out:\n    from: a\n    apply:\n      - decimal\n      - multiply:\n          by: @\n      - text",
    "a word of a list": "fields:\n  out:\n    from: a\n    apply:\n      - boolean:\n          'true': [@]\n          'false': [n]",
    "what is put for empty": "fields:\n  out:\n    from: a\n    apply:\n      - default_if_empty:\n          value_if_empty: @",
    "a word of a map": "fields:\n  out:\n    from: a\n    apply:\n      - map_values:\n          table:\n            @: x",
    "a word of a table": "fields:\n  out:\n    from: a\n    lookup:\n      table:\n        @: x",
    "an entry of a table": "fields:\n  out:\n    from: a\n    lookup:\n      table:\n        x: @",
    "a table's file": f"fields:\n  out:\n    from: a\n    lookup:\n      file: @\n      sha256: {'a' * 64}",
    "a table's hash": "fields:\n  out:\n    from: a\n    lookup:\n      file: table.x.yaml\n      sha256: @",
    "a condition": "fields:\n  out:\n    from: a\n    when: @",
    "a condition's path": "fields:\n  out:\n    from: a\n    when:\n      path: @\n      is: present",
    "what a condition compares with": "fields:\n  out:\n    from: a\n    when:\n      path: a\n      equals: @",
    "one of what a condition compares with": "fields:\n  out:\n    from: a\n    when:\n      path: a\n      in: [x, @]",
    "how a condition compares": "fields:\n  out:\n    from: a\n    when:\n      path: a\n      is: @",
    "what a condition is made of": "fields:\n  out:\n    from: a\n    when:\n      @:\n        - {path: a, is: present}",
    "a bound": "fields:\n  out:\n    from: a\n    when:\n      path: a\n      at_least: @",
    "a case's condition": "fields:\n  out:\n    cases:\n      - when: @\n        value: x",
    "a case's value": "fields:\n  out:\n    cases:\n      - when: {path: a, is: present}\n        value: @",
    "a template": "fields:\n  out:\n    gather: [a, name]\n    apply:\n      - fill:\n          template: @",
    "what is replaced": "fields:\n  out:\n    from: a\n    apply:\n      - replace:\n          what: @\n          by: x",
    "what unknown words give": "fields:\n  out:\n    from: a\n    lookup:\n      table: {x: y}\n      otherwise: @",
    "strength": "fields:\n  out:\n    from: a\n    strength: @",
    "sensitive": "fields:\n  out:\n    from: a\n    sensitive: @",
    "required": "fields:\n  out:\n    from: a\n    required: @",
}

# Texts, put in quotes so that they arrive as they are.
TEXTS = [
    # Python, and the way to it
    "__import__", "__import__('os').system('id')", "__class__", "a.__class__.__mro__", "__globals__.__builtins__", "().__class__.__bases__[0]",
    "eval", "exec", "os.system", "subprocess.Popen", "mappings.transforms.registry", "builtins.open", "lambda: 0", "print", "Departure", "record",
    "getter", "transforms", "_FUNCTIONS", "strip.__globals__", "model_validate", "function", "bind",
    # out of generated source
    "'", '"', "'''", '"""', "\\", "\\'", "'); import os; ('", '"); __import__("os"); ("', "\n import os", "\nimport os\n", "\r\nraise SystemExit", "\n\n\tx",
    "#", "# coding: latin-1", "k0", "g1[k0]", "v = 1", "x]\n  del values\n  y[", "\\N{DIGIT ONE}", "\\x41\\u0041", "\f\v", "\u2028import os\u2029", "\x85x",
    # formats and templates
    "{}", "{0}", "{0.__class__}", "{a!r:>99999999}", "%s%n%x", "%(x)s", "%*d", "${7*7}", "$(id)", "`id`", "$a", "{{7*7}}", "{{ ''.__class__ }}",
    "{% import os %}", "{# x #}", "<%= 7*7 %>", "<% system('id') %>", "#{7*7}", "#set($x=7*7)$x", "@(7*7)", "*{7*7}", "~{7*7}", "[[${7*7}]]", "{php}id{/php}",
    "<#assign x=7>", "=cmd|'/c calc'!A0", "=1+1", "{{constructor.constructor('x')()}}", "${jndi:ldap://example.org/a}", "!!python/object/apply:os.system",
    # files and addresses
    "../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "https://example.org/x", "\\\\host\\share", "table.../x.yaml", "table.x.yaml/../../y",
    "table.x.yaml\x00.txt", "table.x.yaml\n", "C:\\x", "/dev/stdin", "~/.ssh/id_rsa", "a__b/../c__d", "a__b\n",
    # unicode
    "\uff3f\uff3fimport\uff3f\uff3f", "\uff45\uff56\uff41\uff4c", "ev\u200bal", "\u202etxt.exe", "\ufeff", "a\u0301", "\U0001d400", "\u0000", "a\u0000b", "\U0010ffff",
    "\u0131\u0130\u00df", "\ufdfa" * 50, "\u0661\u0662\u0663", "\ud7ff",
    # paths and selectors
    "a[0]", "a[-1]", "a[*]", "a[?x=='y']", "a[0:9]", "a[name=x]", "a[name=x][name=x]", "a..b", "a.*", "a[__class__=x]", "a[99999999999]", "$.a", "@", "&", "a|b",
    "a." * 300 + "a", '"' * 99, '"a\\"', "[" * 99, "a" * 5000,
    # numbers and words that mean something elsewhere
    "9" * 5000, "1e999999999", "0x" + "f" * 5000, "NaN", "Infinity", "-0", "1:2:3", "1_000", "010", "null", "true", "NO", "~", "<<", "=", "---", "...", "%YAML 1.1", "",
    " ", "\t", "(a+)+$", "(?i)x", "^(?:(?=(a+))\\1)+$",
]  # fmt: skip

# Pieces of YAML, put in as they stand.
PIECES = [
    "!!python/object/apply:os.system ['id']", "!!python/object/new:os.system ['id']", "!!python/name:os.system ''", "!!python/module:os ''", "!!binary aGk=",
    "!!set {a, b}", "!!omap [a: 1]", "!!str 7", "!!int '7'", "!include /etc/passwd", "!env HOME", "!vault x", "! a", "!<tag:yaml.org,2002:python/name:os.system> x",
    "!!python/tuple [a]", "!!timestamp 2026-01-01", "!!null ''", "!!merge <<",
    "&a x", "*a", "&a [*a]", "&a {<<: *a}", "{<<: {from: b}}", "[&a [x,x], &b [*a,*a], &c [*b,*b]]", "{? [a] : b}", "{? {a: b} : c}",
    "[" * 40 + "]" * 40, "{a: " * 40 + "x" + "}" * 40, "[" * 3000, "{not: " * 14 + "{path: a, is: present}" + "}" * 14, "[[[]]]", "[]", "{}", "[a, b]", "{a: b}",
    "{from: a, from: b}", "2026-02-30", "0001-01-01", "9999-12-31T23:59:59Z", "-.inf", ".nan", "0o17", "0b11", "1:30", "12e03", "NO", "yes", "~", "null",
    "|\n  text", ">-\n  text", "'x\n\n y'", "\"\\\n x\"", "x: y: z", "- - x", "? x", "@x", "`x", "%x", "\x07", "\x00", "\ufffe", "\ud83d\ude00", "#x", "x #y", ",", "}", "]", ": ",
]  # fmt: skip

RECORDS: list[dict[str, Any]] = [
    {"a": "x", "b": {"c": ["y", {"name": "x"}]}},
    {"a": "{0.__class__}", "name": "__import__('os')", "__class__": "k", "k0": 1},
    {"a": "2026-01-01", "'": "q", "nothing": None, "record": [1, 2]},
    {"a": None, "{}": {"__class__": "t"}},
]


@dataclass(frozen=True)
class Attempt:
    place: str
    written: str
    document: str


def attempts() -> Iterator[Attempt]:
    """Every text and piece at every place."""
    for place, lines in PLACES.items():
        for text in TEXTS:
            yield Attempt(place, text, a_document(lines, quoted(text)))
        for piece in PIECES:
            yield Attempt(place, piece, a_document(lines, piece))


def quoted(text: str) -> str:
    """``text`` in YAML's double quotes, which have no pairs of surrogates."""
    return json.dumps(text, ensure_ascii=max(text, default="") < "\U00010000")


def a_document(lines: str, written: str) -> str:
    """The lines with what was written in the place of @, and around them what a version needs."""
    said = {line.partition(":")[0] for line in lines.splitlines() if not line.startswith((" ", "@"))}
    head = "".join(f"{key}: {value}\n" for key, value in HEAD.items() if key not in said)
    fields = "" if "fields" in said else f"fields:\n  out: {RULE}\n"
    return head + lines.replace("@", written) + "\n" + fields


@dataclass
class Outcome:
    """What became of all attempts. ``wrong`` are those that were neither refused with their places nor text like any other."""

    attempts: int
    distinct: int
    refused: int
    accepted: int
    reported: dict[str, int]
    own_compilations: int
    own_executions: int
    wrong: list[str]


def outcome_of(attempt: Attempt, tokens: Callable[[str], set[str]]) -> str | None:
    """``refused``, ``accepted``, or a sentence with what is wrong."""
    try:
        document = read_document(attempt.document.encode("utf-8", "surrogatepass"), FILE)
        try:
            file = MappingFile.model_validate(document.data)
        except ValidationError as error:
            raise FaultyMapping(document.faults_of(error)) from None
    except FaultyMapping as faulty:
        lines = attempt.document.count("\n") + 2
        placed = all(fault.file == FILE and 1 <= fault.line <= lines and fault.column >= 1 for fault in faulty.faults)
        return "refused" if placed else f"a fault without its place: {faulty}"
    tables = {rule.lookup.file: {"x": "y"} for rule in file.fields.values() if rule.lookup and rule.lookup.file}
    source, _ = generate(plan_of(file, tables))
    if strange := tokens(source):
        return f"in the source: {strange}"
    mapping = CompiledMapping(file, content_sha256="0" * 64, tables=tables)
    return next((wrong for record in RECORDS if (wrong := strange_value(mapping, record))), "accepted")


def strange_value(mapping: CompiledMapping, record: dict[str, Any]) -> str | None:
    """What in the result is no plain data."""
    try:
        result: object = mapping.apply(record).values
    except Unmappable:
        return None
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError):
        return f"a result that is no plain data: {result!r}"
    return None


def run(tokens: Callable[[str], set[str]], todo: list[Attempt]) -> Outcome:
    """Make the attempts ``todo`` under an audit hook that notes all that Python reports."""
    reported: Counter[str] = Counter()
    own: Counter[str] = Counter()
    watching = False

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        if watching:
            ours = (name == "compile" and arguments[1].startswith("<mapping ")) or (
                name == "exec" and isinstance(arguments[0], CodeType) and arguments[0].co_filename.startswith("<mapping ")
            )
            (own if ours else reported)[name] += 1

    outcome_of(todo[0], tokens)  # whatever is imported late has been imported then
    sys.addaudithook(watch)
    watching = True
    found = [(attempt, outcome_of(attempt, tokens)) for attempt in todo]
    watching = False
    counted = Counter(outcome for _, outcome in found)
    wrong = [
        f"{attempt.place}: {attempt.written[:80]!r}: {each}" for attempt, each in found if each not in {"refused", "accepted"}
    ]
    distinct = len({attempt.document for attempt in todo})
    return Outcome(
        len(todo), distinct, counted["refused"], counted["accepted"], dict(reported), own["compile"], own["exec"], wrong
    )


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """The outcome of every attempt."""
    return run_apart()


def run_apart(*hole: str) -> Outcome:
    """Make the attempts in a process of their own, with a ``hole`` or none."""
    command = [sys.executable, "-W", "error", __file__, *hole]
    done = subprocess.run(  # noqa: S603  # this very file
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Outcome(**json.loads(done.stdout))


def test_there_are_more_than_a_thousand_attempts(outcome: Outcome) -> None:
    assert outcome.distinct > 9000
    assert outcome.refused > 5000
    assert outcome.accepted > 1000
    assert outcome.refused + outcome.accepted == outcome.attempts


def test_each_attempt_is_refused_with_its_place_or_is_text_like_any_other(outcome: Outcome) -> None:
    assert outcome.wrong == []


def test_nothing_is_opened_imported_or_run_but_the_compilers_own_source(outcome: Outcome) -> None:
    assert outcome.reported == {}
    assert outcome.own_compilations == outcome.own_executions == outcome.accepted


TEXTS_THAT_STAY = [text for text in TEXTS if text]


@pytest.mark.parametrize("text", TEXTS_THAT_STAY, ids=[f"{number}" for number, _ in enumerate(TEXTS_THAT_STAY)])
def test_a_constant_comes_out_as_it_was_written(text: str) -> None:
    lines = "fields:\n  out:\n    value: @\n  default:\n    from: nothing\n    default: @"
    document = read_document(a_document(lines, quoted(text)).encode(), FILE)
    mapping = CompiledMapping(MappingFile.model_validate(document.data), content_sha256="0" * 64)
    assert mapping.apply({}).values == {"out": text, "default": text}


HOLES: dict[str, tuple[Callable[[str], object], str]] = {
    "open": (lambda _source: Path("/dev/null").open().close(), "open"),
    "eval": (lambda _source: eval("1"), "compile"),  # noqa: S307  # the hole that has to be seen
    "import": (lambda _source: __import__("colorsys"), "import"),
    "socket": (lambda _source: socket.socket().close(), "socket.__new__"),
    "process": (lambda _source: os.system("true"), "os.system"),  # noqa: S605, S607  # the hole that has to be seen
    "list": (lambda _source: list(Path().iterdir()), "os.listdir"),
    "exec of the source": (lambda source: exec(source, {}), "exec"),  # noqa: S102  # the hole that has to be seen
}
"""What might be done besides, with a mapping that was accepted; and what Python then reports."""


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_would_be_seen(hole: str) -> None:
    seen = run_apart(hole)
    assert seen.reported[HOLES[hole][1]] >= 1
    assert seen.own_executions == seen.accepted >= 1


def main() -> None:
    """Make the attempts and write the outcome as JSON."""
    sys.path.insert(0, str(Path(__file__).parent))
    from test_mapping_compiler import foreign_tokens

    hole = HOLES[sys.argv[1]][0] if len(sys.argv) > 1 else None

    def tokens(source: str) -> set[str]:
        if hole:
            hole(source)
        return foreign_tokens(source)

    todo = list(attempts())
    outcome = run(tokens, todo[:: MANY_LESS if hole else 1])
    sys.stdout.write(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
