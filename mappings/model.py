"""What a mapping version may say: one complete, immutable file per version. Unknown keys are faults; all faults are found at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from mappings.ordered import Bound, Ordered, measure, ordered
from mappings.paths import parse_path, parse_target
from mappings.schema import nearest
from mappings.sentences import sentences
from mappings.transforms import transforms, words
from mappings.values import Plain


def _path(text: str) -> str:
    parse_path(text)
    return text


def _target(text: str) -> str:
    parse_target(text)
    return text


def _like(pattern: str, sentence: str) -> AfterValidator:
    """A text that ``pattern`` fits; ``sentence`` says how it is written."""
    fits = re.compile(pattern).fullmatch

    def check(text: str) -> str:
        if not fits(text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


def _business_date(value: object) -> object:
    found = measure(value) if isinstance(value, str) else value
    if type(found) is not date:
        raise ValueError("write a business date, such as 2026-12-01")
    return found


PathText: TypeAlias = Annotated[StrictStr, AfterValidator(_path)]
TargetText: TypeAlias = Annotated[StrictStr, AfterValidator(_target)]
MappingId: TypeAlias = Annotated[
    StrictStr, _like(r"[a-z0-9]+(_[a-z0-9]+)*__[a-z0-9]+(_[a-z0-9]+)*", "write source and target, such as fieldglass__engagement")
]
ShippedLabel: TypeAlias = Annotated[StrictStr, _like(r"v[0-9]{4}", "write a shipped version, such as v0001")]
BusinessDate: TypeAlias = Annotated[date, BeforeValidator(_business_date)]
Reason: TypeAlias = Annotated[StrictStr, StringConstraints(strip_whitespace=True, min_length=3)]
Words: TypeAlias = Annotated[StrictStr, StringConstraints(strip_whitespace=True, min_length=1)]

BOUNDS = ("at_least", "at_most", "above", "below")

MAX_FIELDS = 1000
MAX_TRANSFORMS = 16
"""Bounds of a version, far above what any mapping needs, so that compiling one is always quick."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def says_null(self, *besides: str) -> bool:
        """Whether the document writes null for anything, ``besides`` what may be null."""
        return any(getattr(self, name) is None for name in self.model_fields_set.difference(besides))

    def says(self, name: str) -> bool:
        """Whether the document writes ``name``, if only as null."""
        return name in self.model_fields_set


class Strength(StrEnum):
    """Who owns the target's field: strong always sets it, normal sets what changed, weak fills it only if empty."""

    STRONG = "strong"
    NORMAL = "normal"
    WEAK = "weak"


class Presence(StrEnum):
    """``present``: a value that is neither null nor empty. ``missing``: not present. ``absent``: there is no such key."""

    PRESENT = "present"
    MISSING = "missing"
    ABSENT = "absent"


class Condition(_Part):
    """When a rule applies: a comparison at ``path``, or ``all``, ``any`` or ``not`` of other conditions. Nothing else.

    ``at_least``, ``at_most``, ``above`` and ``below`` compare numbers with a number and calendar days with a day (``ordered``).
    """

    path: PathText | None = None
    equals: Plain = None
    one_of: list[Plain] | None = Field(default=None, alias="in", min_length=1)
    presence: Presence | None = Field(default=None, alias="is")
    at_least: Bound | None = None
    at_most: Bound | None = None
    above: Bound | None = None
    below: Bound | None = None
    every: list[Condition] | None = Field(default=None, alias="all", min_length=1)
    some: list[Condition] | None = Field(default=None, alias="any", min_length=1)
    negated: Condition | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        comparisons = self.model_fields_set & {"equals", "one_of", "presence", *BOUNDS}
        combinations = self.model_fields_set & {"every", "some", "negated"}
        is_comparison = self.says("path") and len(comparisons) == 1 and not combinations
        is_combination = not self.says("path") and not comparisons and len(combinations) == 1
        if not (is_comparison or is_combination) or self.says_null("equals"):
            raise ValueError(
                "a condition is path with one of equals, in, is, at_least, at_most, above, below; or one of all, any, not"
            )
        return self

    @property
    def bound(self) -> tuple[str, Ordered] | None:
        """How it compares with what, where it compares with a bound."""
        return next(((name, ordered(said)) for name in BOUNDS if (said := getattr(self, name)) is not None), None)

    def paths(self) -> Iterator[str]:
        """Every path that the condition reads."""
        if self.path is not None:
            yield self.path
        for inner in [*(self.every or ()), *(self.some or ()), *([self.negated] if self.negated else ())]:
            yield from inner.paths()


class TransformCall(_Part):
    """``name``, or ``{name: {parameter: value}}``."""

    name: StrictStr
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _written_short(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError("a transform is its name, or {name: {parameter: value}}")
        name, parameters = next(iter(value.items()))
        return {"name": name, "parameters": parameters}

    @model_validator(mode="after")
    def _is_registered(self) -> Self:
        transform = transforms().get(self.name)
        if transform is None:
            meant = nearest(self.name, transforms())
            told = f"did you mean {meant!r}?" if meant else f"known: {', '.join(sorted(transforms()))}"
            raise ValueError(f"there is no transform {self.name!r}; {told}")
        try:
            transform.parameters.model_validate(self.parameters)
        except ValidationError as error:
            found = sentences(error, transform.parameters)
            told = "; ".join(f"{'.'.join(map(str, place))}: {message}" for place, message in found)
            raise ValueError(f"{self.name}: {told}") from None
        return self


class Lookup(_Part):
    """A table from source text to target value: inline, or a file of the mapping's own folder fixed by its SHA-256.

    A word that it does not know is refused, unless ``otherwise`` says what it gives for every such word.
    """

    table: dict[str, Plain] | None = Field(default=None, min_length=1)
    file: (
        Annotated[StrictStr, _like(r"table\.[a-z0-9_]+\.yaml", "write a file beside this one, called table.NAME.yaml")] | None
    ) = None
    sha256: Annotated[StrictStr, _like(r"[0-9a-f]{64}", "write the 64 characters that sha256sum shows for the file")] | None = (
        None
    )
    otherwise: Plain = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.model_fields_set - {"otherwise"} not in ({"table"}, {"file", "sha256"}) or self.says_null("otherwise"):
            raise ValueError("a lookup is table, or file with its sha256")
        return self


class Case(_Part):
    """A constant, and when it is the value."""

    when: Condition
    value: Plain


class FieldRule(_Part):
    """How one target field gets its value: ``from`` one path, ``gather`` of several, a constant ``value``, one of ``cases``, or ``clear``.

    ``when`` decides whether the rule applies at all. A source value passes through ``apply``, then ``lookup``; ``default``
    replaces an absent one; ``required`` refuses the record when the value is then absent, null or empty. Of ``cases`` the first that
    applies gives the value; where none does, it is absent.
    """

    source: PathText | None = Field(default=None, alias="from")
    gather: list[PathText] | None = Field(default=None, min_length=1)
    value: Plain = None
    cases: list[Case] | None = Field(default=None, min_length=1)
    clear: StrictBool = False
    apply: list[TransformCall] = Field(default_factory=list, max_length=MAX_TRANSFORMS)
    lookup: Lookup | None = None
    default: Plain = None
    when: Condition | None = None
    required: StrictBool = False
    strength: Strength = Strength.NORMAL
    sensitive: StrictBool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = self.model_fields_set & {"source", "gather", "value", "cases", "clear"}
        if len(origins) != 1 or any(getattr(self, origin) is None for origin in origins - {"value"}):
            raise ValueError("a field has exactly one of from, gather, value, cases, clear")
        if self.says("clear") and not self.clear:
            raise ValueError("clear is true or left out")
        if not self.reads and self.model_fields_set & {"apply", "lookup"}:
            raise ValueError("apply and lookup need from or gather")
        if not (self.reads or self.cases) and self.model_fields_set & {"default", "required"}:
            raise ValueError("default and required need from, gather or cases")
        return self

    @model_validator(mode="after")
    def _types_fit(self) -> Self:
        given = frozenset({list}) if self.gather else frozenset[type]()
        for call in self.apply:
            takes = transforms()[call.name].takes
            if takes and given and not given & takes:
                raise ValueError(f"{call.name} takes {words(takes)}, but {words(given)} arrives")
            given = transforms()[call.name].gives
        if self.lookup and given and str not in given:
            raise ValueError(f"a lookup takes text, but {words(given)} arrives")
        if Decimal in given and not self.lookup:
            raise ValueError("the value ends as a decimal; end with money or text")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The source paths that give the value."""
        return (self.source,) if self.source is not None else tuple(self.gather or ())

    @property
    def asks(self) -> tuple[Condition, ...]:
        """Its conditions: when it applies, then those of its cases."""
        return (*([self.when] if self.when else ()), *(case.when for case in self.cases or ()))


class Demand(_Part):
    """What must hold of the record as a whole; otherwise it is refused, with the reason."""

    that: Condition
    because: Reason


class SourceFields(StrEnum):
    """Whether a record may have top-level fields that the mapping neither reads nor ignores, and lack some that it reads."""

    OPEN = "open"
    CLOSED = "closed"


class MappingFile(_Part):
    """One version of a mapping. ``effective_from`` is a business date; ``because`` says why the version exists.

    With ``base`` it is an overlay: it holds only what differs from that version, and ``removes`` targets of it. ``ignores`` are
    top-level fields of the source, as the source names them, that are known and not used.
    """

    mapping: MappingId
    version: Annotated[StrictInt, Field(ge=1, le=9999)]
    effective_from: BusinessDate
    because: Reason
    base: ShippedLabel | None = None
    removes: list[TargetText] = Field(default_factory=list, max_length=MAX_FIELDS)
    source_fields: SourceFields = SourceFields.OPEN
    ignores: list[Annotated[StrictStr, StringConstraints(min_length=1)]] = Field(default_factory=list)
    demands: list[Demand] = Field(default_factory=list)
    fields: dict[TargetText, FieldRule] = Field(default_factory=dict, max_length=MAX_FIELDS)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.base is None and not self.fields:
            raise ValueError("fields: a version has at least one field; only an overlay, which names its base, may have none")
        if self.base is None and self.removes:
            raise ValueError("removes: only an overlay, which names its base, removes fields")
        return self

    def reads(self) -> frozenset[str]:
        """The top-level fields of the source that any field, condition or demand reads."""
        conditions = [demand.that for demand in self.demands]
        conditions += [condition for rule in self.fields.values() for condition in rule.asks]
        paths = [path for rule in self.fields.values() for path in rule.reads]
        paths += [path for condition in conditions for path in condition.paths()]
        return frozenset(parse_path(path).first for path in paths)


class Sample(_Part):
    """Where the record of an example comes from: the vendor, its endpoint, and where the vendor shows it."""

    vendor: Words
    endpoint: Words
    origin: Words


class Example(_Part):
    """A record and what the mapping makes of it: the values and the cleared targets, or the source fields that it refuses."""

    name: Reason
    sample: Sample | None = None
    source: dict[str, Any]
    gives: dict[str, Any] | None = None
    clears: list[TargetText] = Field(default_factory=list)
    refuses: list[StrictStr] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.gives is None) == (self.refuses is None):
            raise ValueError("an example has either gives or refuses")
        return self


class ExamplesFile(_Part):
    """The executable examples of one version."""

    examples: Annotated[list[Example], Field(min_length=1)]


class TableFile(_Part):
    """A lookup table in a file of its own."""

    table: Annotated[dict[StrictStr, Plain], Field(min_length=1)]


DOCUMENTS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {each.__name__: each for each in (MappingFile, ExamplesFile, TableFile)}
)
"""What a file of a mapping may be, by name."""
