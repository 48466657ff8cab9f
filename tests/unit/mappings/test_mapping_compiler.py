from __future__ import annotations

import io
import keyword
import tokenize
from collections import OrderedDict, UserDict, UserList, deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from mappings.compiler import Departure, compile_plan, generate
from mappings.engine import CompiledMapping
from mappings.explain import run_step
from mappings.faults import Unmappable
from mappings.model import MappingFile, Strength, TransformCall
from mappings.plan import Step, plan_of
from mappings.quick import quick_form
from mappings.transforms import transforms
from mappings.values import ABSENT, ValueFault

# Records and mappings small enough to meet often: few names, few words.
NAMES = st.sampled_from(["a", "b", "c", "a", "b", "größe", 'say "x"', "d.o\\t", "a]b", "k0", ""])
WORDS = st.sampled_from([
    "", " x ", "x", "y", "X", "7", "007", "-3", "12.50", "1,234.50", "1.234,50", "2026-11-03", "11/3/2026", "2026-02-30", "gb", "UK", "N",
    "2026-11-20T10:00:00Z", "2026-11-20T10:00:00.5+01:00",
])  # fmt: skip
ODDITIES: st.SearchStrategy[Any] = st.sampled_from([
    0.5, 95.5, float("nan"), float("-inf"), Decimal("1.5"), Decimal("NaN"), Decimal("sNaN"), 2**63, 10**400, b"x", bytearray(b"x"), 1j, ...,
    Strength.WEAK, "\ud800", "e\u0301", "\u0661", "x\x00", "true",
])  # fmt: skip
SCALARS: st.SearchStrategy[Any] = st.none() | WORDS | st.integers(-1, 10) | st.booleans() | ODDITIES
ITEMS = st.lists(st.dictionaries(NAMES, SCALARS, max_size=3) | SCALARS, max_size=3)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects and lists of all kinds that Python has for them, the plain ones most often."""
    objects, lists = st.dictionaries(NAMES, inner, max_size=3), st.lists(inner, max_size=3)
    odd = [objects.map(kind) for kind in (MappingProxyType, UserDict, OrderedDict)] + [
        lists.map(kind) for kind in (tuple, UserList, deque)
    ]
    return st.one_of(objects, lists, ITEMS, objects, lists, *odd)


VALUES: st.SearchStrategy[Any] = st.recursive(SCALARS, containers, max_leaves=8)
RECORDS = st.dictionaries(NAMES, VALUES, max_size=3)
PATHS = st.sampled_from(
    ["a", "b", "c", "a.b", "a.b.c", "b.c", "c.a", "a[0]", "a[1].b", "b[a=x].b", "b[a=y].b", "b[a=x].c", "b[a=7]", "c.a[b=x]",
     "b[a=true].c", "b[a=x, b=y].c", "b[a=x,b=true]", "größe", '"größe".a', r'"say \"x\""', r'a."d.o\\t"[0]', '"a]b"[b="x"]', "k0.a", "a[0][1]"]
)  # fmt: skip
CALLS = [
    "strip", "upper", "lower", "iso_date", "iso_instant", "decimal", "money", "text", "integer", "bool_text", "join", "first", "country_alpha2",
    "null_if_empty", "absent_if_empty",
    {"concat": {"before": "<", "after": ">"}}, {"iso_date": {"order": "mdy"}}, {"decimal": {"written": "1,234.5"}},
    {"multiply": {"by": "0.125"}}, {"money": {"places": 9}}, {"split": {"separator": ","}}, {"join": {"separator": "-"}},
    {"boolean": {"true": ["x", "y"], "false": ["y", "N"]}}, {"map_values": {"table": {"x": "y", "y": None, "7": 7}}},
    {"default_if_empty": {"value_if_empty": "x"}}, {"default_if_empty": {"value_if_empty": None}},
    {"default_if_empty": {"value_if_empty": 7}}, {"bool_text": {"true": "", "false": "no"}},
    "json_decimal", "agreed", "local_day", "local_instant", "midnight_day", {"from_epoch": {"unit": "either"}}, {"day_add": {"days": -1}},
    {"pick": {"by": "a", "members": {"x": "b", "y": "c"}}}, {"fill": {"template": "{1}-{2}"}}, {"item": {"at": -1}}, {"item": {"at": 1}},
    {"replace": {"what": "x", "by": ""}}, {"within": {"least": "0", "most": "8"}}, {"after_word": {"words": ["x", "y"]}}, "as_item",
]  # fmt: skip
TABLES = st.sampled_from([{"x": "X", "y": None, "7": 7}, {"x": "", "2026-11-03": "2026-11-03", "y": "iso"}])
LOOKUPS = st.one_of(
    st.builds(lambda table: {"table": table}, TABLES),
    st.builds(lambda table, otherwise: {"table": table, "otherwise": otherwise}, TABLES, st.none() | WORDS | st.integers(0, 1)),
)
LEAVES = st.one_of(
    st.builds(lambda path, value: {"path": path, "equals": value}, PATHS, st.none() | WORDS | st.integers(0, 3) | st.booleans()),
    st.builds(lambda path, values: {"path": path, "in": values}, PATHS, st.lists(WORDS, min_size=1, max_size=3)),
    st.builds(
        lambda path, values: {"path": path, "in": values},
        PATHS,
        st.lists(st.none() | st.booleans() | WORDS, min_size=1, max_size=3),
    ),
    st.builds(lambda path, how: {"path": path, "is": how}, PATHS, st.sampled_from(["present", "missing", "absent"])),
    st.builds(
        lambda path, how, bound: {"path": path, how: bound},
        PATHS,
        st.sampled_from(["at_least", "at_most", "above", "below"]),
        st.sampled_from([0, 7, "12.5", "2026-11-03"]),
    ),
)
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=4,
)


@st.composite
def chains(draw: st.DrawFn, given: frozenset[type]) -> tuple[list[Any], frozenset[type]]:
    """Transforms that fit one after the other."""
    chain: list[Any] = []
    for call in draw(st.lists(st.sampled_from(CALLS), max_size=4)):
        transform = transforms()[call if isinstance(call, str) else next(iter(call))]
        if not transform.takes or not given or given & transform.takes:
            chain.append(call)
            given = transform.gives
    return [*chain, "text"] if Decimal in given else chain, given


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["from", "from", "from", "gather", "value", "cases", "clear"]))
    origin = {
        "from": PATHS,
        "gather": st.lists(PATHS, min_size=1, max_size=3),
        "value": st.none() | WORDS,
        "cases": st.lists(
            st.fixed_dictionaries({"when": CONDITIONS, "value": st.none() | WORDS | st.booleans()}), min_size=1, max_size=2
        ),
        "clear": st.just(True),
    }
    rule: dict[str, Any] = {kind: draw(origin[kind])}
    if kind in {"from", "gather"}:
        rule["apply"], given = draw(chains(frozenset({list}) if kind == "gather" else frozenset()))
        if not given or str in given:
            rule |= draw(st.fixed_dictionaries({}, optional={"lookup": LOOKUPS}))
    if kind in {"from", "gather", "cases"}:
        rule |= draw(st.fixed_dictionaries({}, optional={"default": st.none() | WORDS, "required": st.booleans()}))
    return rule | draw(st.fixed_dictionaries({}, optional={"when": CONDITIONS}))


TARGETS = st.sampled_from(["p", "q.r", "q.s.t", "q.s.u", "v.w", "x"])
DEMANDS = st.lists(st.builds(lambda that: {"that": that, "because": "a test"}, CONDITIONS), max_size=2)


def a_file(fields: dict[str, Any], **more: Any) -> MappingFile:
    head = {"mapping": "a__b", "version": 1, "effective_from": "2026-01-01", "because": "a test"}
    return MappingFile.model_validate({**head, "fields": fields, **more})


def a_mapping(fields: dict[str, Any], **more: Any) -> CompiledMapping:
    return CompiledMapping(a_file(fields, **more), content_sha256="0" * 64)


@st.composite
def files(draw: st.DrawFn) -> MappingFile:
    fields = draw(st.dictionaries(TARGETS, rules(), min_size=1, max_size=5))
    closed = draw(st.sampled_from([{}, {}, {"source_fields": "closed", "ignores": ["b"]}]))
    try:
        return a_file(fields, demands=draw(DEMANDS), **closed)
    except ValueError:
        assume(False)
        raise


def outcome(apply: Any, record: object) -> tuple[str, ...]:
    """What comes out, in words that tell 1 from True and one order from another."""
    try:
        mapped = apply(record)
    except Unmappable as refusal:
        return ("refused", *map(repr, refusal.faults))
    return repr(mapped.values), repr(mapped.cleared), repr(mapped.lineage)


@settings(max_examples=500, deadline=None)
@given(files(), st.lists(RECORDS, min_size=1, max_size=4))
def test_the_compiled_function_gives_what_the_interpreter_gives_or_leaves_the_record_to_it(
    file: MappingFile, records: list[dict[str, Any]]
) -> None:
    mapping = CompiledMapping(file, content_sha256="0" * 64)
    compiled = compile_plan(plan_of(file, {}), "test")
    for record in records:
        before = repr(record)
        interpreted = outcome(mapping._interpreted, record)
        assert outcome(mapping.apply, record) == interpreted
        try:
            values, cleared, _ = compiled(record)
        except (ValueFault, KeyError):
            event("left to the interpreter" if interpreted[0] != "refused" else "refused")
        else:
            event("answered")
            assert (repr(values), repr(cleared)) == interpreted[:2]
            assert inner_ids(values).isdisjoint(inner_ids(record))
            assert "ABSENT" not in repr(values)
        assert repr(record) == before


def inner_ids(value: object) -> set[int]:
    """The identity of everything inside that can be changed."""
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Mapping | Sequence):
        return set()
    inside = value.values() if isinstance(value, Mapping) else value
    return {id(value)}.union(*(inner_ids(each) for each in inside))


@settings(max_examples=150, deadline=None)
@given(files(), RECORDS)
def test_a_record_may_be_any_mapping(file: MappingFile, record: dict[str, Any]) -> None:
    mapping = CompiledMapping(file, content_sha256="0" * 64)
    assert outcome(mapping.apply, MappingProxyType(record)) == outcome(mapping.apply, record)


@pytest.mark.parametrize("record", [None, "text", ["a"], 7])
def test_what_is_no_mapping_has_no_fields(record: Any) -> None:
    assert a_mapping({"p": {"from": "a"}, "q": {"from": "b", "default": 1}}).apply(record).values == {"q": 1}


@pytest.mark.parametrize(
    "record",
    [
        {"a": " x ", "n": {"m": "7"}, "items": [{"k": "one", "v": 1}, {"k": "two", "v": 2}]},
        {"a": "x", "n": None},
        {"a": "y", "b": ""},
        {"a": "y", "b": None, "items": []},
    ],
)
def test_a_record_without_fault_is_answered_by_the_compiled_function(record: dict[str, Any]) -> None:
    file = a_file(
        {
            "one": {"from": "a", "apply": ["strip"], "lookup": {"table": {"x": 1, "y": 2}}, "required": True},
            "two": {"from": "b", "apply": ["strip", "absent_if_empty", "iso_date"], "default": "d"},
            "three": {"from": "n.m", "apply": ["integer"]},
            "four": {"from": "items[k=one].v"},
            "five": {"from": "items[k=two].v", "when": {"path": "n.m", "is": "present"}},
            "six": {"gather": ["a", "b"], "apply": ["join"]},
            "seven": {"from": "b", "apply": [{"default_if_empty": {"value_if_empty": "z"}}, "upper"]},
        }
    )
    values, _, _ = compile_plan(plan_of(file, {}), "test")(record)
    assert values == CompiledMapping(file, content_sha256="0" * 64)._interpreted(record).values


def test_results_of_two_records_share_nothing_that_can_be_changed() -> None:
    mapping = a_mapping(
        {
            "p.list": {"from": "a", "apply": [{"default_if_empty": {"value_if_empty": "x,y"}}, {"split": {"separator": ","}}]},
            "p.gathered": {"gather": ["b", "c"]},
        }
    )
    first, second = mapping.apply({}), mapping.apply({})
    first.values["p"]["list"].append("z")  # type: ignore[index]
    assert second.values == {"p": {"list": ["x", "y"]}} == mapping.apply({}).values


WORDY_DATES = st.from_regex(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}", fullmatch=True)
WORDY_INSTANTS = st.from_regex(
    r"20[0-9]{2}-[0-9W]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}[:.,][0-9.]{2,6}(Z|[+-][0-9:]{4,6})", fullmatch=True
) | st.from_regex(
    r"(0001|2026|9999)-(01|12)-(01|31)[T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9]([.,][0-9]{1,7})?)?(Z|[+-][0-2][0-9]:?[0-5][0-9])",
    fullmatch=True,
)
WORDY_NUMBERS = st.from_regex(r"[+-]?[0-9 ,.']{1,14}", fullmatch=True) | st.from_regex(
    r"[0-9]{1,3}[,.' ][0-9]{3}[.,][0-9]{1,3}", fullmatch=True
)
ANYTHING = st.text(max_size=24) | st.text(alphabet="0123456789\uff11\u0662:-/., TZ+", max_size=24)
QUICK: list[Any] = [
    *({"iso_date": {"order": order}} for order in ("ymd", "mdy", "dmy")),
    *({"decimal": {"written": written}} for written in ("1234.5", "1,234.5", "1.234,5", "1 234,5", "1'234.5")),
    *({"money": {"places": places}} for places in (0, 2, 7, 9)),
    "iso_instant", "text", "integer", "join", {"join": {"separator": ""}},
]  # fmt: skip
PLAIN_VALUES: Mapping[type, st.SearchStrategy[Any]] = {
    str: WORDY_DATES | WORDY_INSTANTS | WORDY_NUMBERS | ANYTHING | WORDS,
    int: st.integers(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9)
    | st.sampled_from([Decimal("1E+3"), Decimal("0E-9"), Decimal("-0.00"), Decimal("1E-7"), Decimal(0)]),
    list: st.lists(st.none() | WORDS | st.integers(), max_size=3),
}


def first_step(call: Any) -> Step:
    name = TransformCall.model_validate(call).name
    rule = {"from": "a", "apply": [call, *(["text"] if Decimal in transforms()[name].gives else [])]}
    return plan_of(a_file({"p": rule}), {}).fields[0].steps[0]


@pytest.mark.parametrize("call", QUICK, ids=str)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_quick_form_gives_what_its_transform_gives(call: Any, data: st.DataObject) -> None:
    step = first_step(call)
    quick = quick_form(step)
    assert quick
    value = data.draw(st.one_of([PLAIN_VALUES[kind] for kind in step.takes if kind in PLAIN_VALUES]))
    try:
        wanted = step.run(value)
    except ValueFault:
        with pytest.raises(ValueFault):
            quick(value)
        return
    assert (type(quick(value)), str(quick(value))) == (type(wanted), str(wanted))


ODD_VALUES = [
    "",
    " x ",
    "x",
    "y",
    "N",
    "7",
    "12.50",
    "2026-11-03",
    "gb",
    True,
    False,
    0,
    7,
    ["a", None, ""],
    [],
    {},
    None,
    ABSENT,
]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_transform_is_compiled_as_its_function_says(call: Any) -> None:
    name = TransformCall.model_validate(call).name
    mapping = a_mapping({"p": {"from": "a", "apply": [call, *(["text"] if Decimal in transforms()[name].gives else [])]}})
    step = first_step(call)
    for value in ODD_VALUES:
        record = {} if value is ABSENT else {"a": value}
        try:
            wanted = run_step(step, value)
        except ValueFault:
            with pytest.raises(Unmappable):
                mapping.apply(record)
            continue
        got = mapping.apply(record).values.get("p", ABSENT)
        assert (got, type(got)) == (wanted, type(wanted)) or isinstance(wanted, Decimal)


OURS = {"mapped", "record", "get", "getter", "inside", "type", "dict", "str", "values", "cleared", "notes", "tuple", "append", "keys", "v", "x", "c", "ABSENT",
        "EMPTY", "UNCHANGING", "Departure", "gathered", "detached", "needed", "items_by", "is_one_of", "is_in_order", "strip", "upper", "lower"}  # fmt: skip
PARAMETERS = {name for transform in transforms().values() for name in transform.parameters.model_fields}


def foreign_tokens(source: str) -> set[str]:
    """What stands in a function's source and is not ours: texts, and names that are neither made nor known by the compiler."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        made = token.string[:1] in "kgnir" and token.string[1:].isdigit()
        known = made or token.string in OURS | PARAMETERS or keyword.iskeyword(token.string)
        if token.type in {tokenize.STRING, tokenize.COMMENT} or (token.type == tokenize.NAME and not known):
            found.add(token.string)
    return found


@settings(max_examples=150, deadline=None)
@given(files())
def test_the_source_holds_names_of_ours_and_no_text_at_all(file: MappingFile) -> None:
    source, constants = generate(plan_of(file, {}))
    assert foreign_tokens(source) == set()
    assert all(name.isidentifier() for name in constants)


def test_the_function_has_no_builtins_and_knows_its_namespace_only() -> None:
    compiled: Any = compile_plan(plan_of(a_file({"p": {"from": "a"}}), {}), "test")
    assert compiled.__globals__["__builtins__"] == {}
    assert not {"open", "eval", "exec", "__import__", "getattr"} & set(compiled.__globals__)


def test_a_thousand_fields_are_compiled_and_no_more_can_be_said() -> None:
    fields = {f"g{n % 50}.f{n}": {"from": f"a{n % 7}.b{n}", "apply": ["strip"] * 16} for n in range(1000)}
    assert a_mapping(fields).apply({"a1": {"b1": " x "}}).values == {"g1": {"f1": "x"}}
    with pytest.raises(ValueError, match="at most 1000"):
        a_file({f"f{n}": {"value": 1} for n in range(1001)})
    with pytest.raises(ValueError, match="at most 16"):
        a_file({"p": {"from": "a", "apply": ["strip"] * 17}})


def test_a_departure_is_no_fault_of_its_own() -> None:
    with pytest.raises(Departure):
        compile_plan(plan_of(a_file({"p": {"from": "a", "required": True}}), {}), "test")({})
