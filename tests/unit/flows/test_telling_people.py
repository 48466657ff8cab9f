"""Who is written to when somebody's answer is wanted."""

from __future__ import annotations

import pytest

from config.tenant import Notifications
from flows.telling import addressees

SPONSOR = "charles@acme.example"


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (("it@acme.example",), ("it@acme.example", SPONSOR)),
        ((SPONSOR, "it@acme.example"), (SPONSOR, "it@acme.example")),
        (("C012AB3CD",), ("C012AB3CD",)),
        (("C012AB3CD", "it@acme.example"), ("C012AB3CD", "it@acme.example")),
    ],
)
def test_people_are_written_to_themselves_where_the_channel_goes_by_e_mail(
    to: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert addressees(Notifications(instance="mail", to=to), [SPONSOR]) == expected
