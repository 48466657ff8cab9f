"""The named transforms that a mapping may apply. Pure functions of one value; nothing else can be called from a mapping.

The first argument's annotation is what a transform takes, the keyword-only arguments are its parameters, and both are checked
when a mapping is read. An absent or null value passes by unseen, except through a transform that takes ``object``.
Transforms raise ``ValueFault`` saying what they expect, never what they got. None of them changes the letters of a name.
"""

from __future__ import annotations

from mappings.transforms.amounts import decimal, integer, json_decimal, money, multiply, text, within
from mappings.transforms.codes import (
    ISO_3166_ALPHA_2,
    bool_text,
    boolean,
    country_alpha2,
    map_values,
    phone_e164,
    rate_unit,
)
from mappings.transforms.lists import after_word, as_item
from mappings.transforms.presence import absent_if_empty, default_if_empty, is_empty, is_missing, null_if_empty
from mappings.transforms.punycode import ascii_reversible, from_ascii_reversible
from mappings.transforms.registry import Apply, Transform, transforms, words
from mappings.transforms.texts import agreed, concat, fill, first, item, join, lower, pick, replace, split, strip, upper
from mappings.transforms.times import day_add, from_epoch, iso_date, iso_instant, local_day, local_instant, midnight_day

__all__ = [
    "ISO_3166_ALPHA_2", "Apply", "Transform", "absent_if_empty", "after_word", "agreed", "as_item", "ascii_reversible",
    "bool_text", "boolean", "concat", "country_alpha2", "day_add", "decimal", "default_if_empty", "fill", "first",
    "from_ascii_reversible", "from_epoch", "integer", "is_empty", "is_missing", "iso_date", "iso_instant", "item", "join",
    "json_decimal", "local_day", "local_instant", "lower", "map_values", "midnight_day", "money", "multiply", "null_if_empty",
    "phone_e164", "pick", "rate_unit", "replace", "split", "strip", "text", "transforms", "upper", "within", "words",
]  # fmt: skip
