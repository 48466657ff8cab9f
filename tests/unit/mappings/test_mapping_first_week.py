"""What the page of the language shows is what the language does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mappings.document import read_document
from mappings.engine import CompiledMapping
from mappings.faults import Unmappable
from mappings.model import MappingFile

PAGE = Path(__file__).resolve().parents[3] / "docs" / "mappings" / "language.md"
HEAD = "mapping: a__b\nversion: 1\neffective_from: 2026-01-01\nbecause: a test\nfields:\n"
RECORD: dict[str, Any] = {
    "contact": {"private": "", "work": " ada@acme.example "},
    "login": "ada",
    "title": "Engineer",
    "level": 3,
    "id": "WO-1",
    "name": "Lovelace, Ada",
    "type": "T&M",
    "country": "DE",
    "unit": " HR ",
    "rate": "95.50",
}


@pytest.fixture(scope="module")
def shown() -> CompiledMapping:
    """The fields that the page shows for the first week, as one mapping."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition("## What comes up in the first week\n```yaml\n")
    fields = re.sub("(?m)^", "  ", after.partition("```")[0])
    document = read_document((HEAD + fields).encode(), "language.md")
    return CompiledMapping(MappingFile.model_validate(document.data), content_sha256="0" * 64)


def test_what_the_page_shows_does_what_it_says(shown: CompiledMapping) -> None:
    assert shown.apply(RECORD).values == {
        "worker": {"personal_email": "ada@acme.example", "family_name": "Lovelace", "given_name": "Ada"},
        "terms": {"role": "Engineer (3), order WO-1", "rate": {"unit": "hour", "amount": "95.50"}, "client_unit": "People"},
    }


@pytest.mark.parametrize(
    ("difference", "target", "value"),
    [
        ({"contact": {"private": "x@y"}}, "worker.personal_email", "x@y"),
        ({"contact": None}, "worker.personal_email", "ada"),
        ({"level": None}, "terms.role", None),
        ({"type": "SOW"}, "terms.rate.unit", "fixed"),
        ({"rate": "400.01"}, "terms.rate.unit", "day"),
        ({"rate": "400.01", "country": "FR"}, "terms.rate.unit", "hour"),
        ({"unit": "Legal"}, "terms.client_unit", "Other"),
    ],
)
def test_what_the_page_says_of_other_records_holds(
    shown: CompiledMapping, difference: dict[str, Any], target: str, value: object
) -> None:
    assert shown.apply_only({**RECORD, **difference}, [target]).get(target) == value


def test_a_rate_out_of_bounds_is_refused_with_the_fields_name(shown: CompiledMapping) -> None:
    with pytest.raises(Unmappable, match=r"terms.rate.amount \(from rate\): expected a number from 1 up to 500"):
        shown.apply({**RECORD, "rate": "501"})
