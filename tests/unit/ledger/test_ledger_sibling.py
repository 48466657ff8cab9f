from __future__ import annotations

import pytest

from ledger.postgres.sibling import asyncpg_url, sibling_dsn, without_password
from workforce.errors import Misconfigured


@pytest.mark.parametrize(
    ("dsn", "url"),
    [
        ("host=/run/pg user=postgres dbname=stint", "postgresql+asyncpg://postgres@/prefect?host=/run/pg"),
        (
            "postgresql://stint:p%40ss%2Fword@db.example:6432/stint?sslmode=require",
            "postgresql+asyncpg://stint:p%40ss%2Fword@/prefect?host=db.example&port=6432&ssl=require",
        ),
        ("dbname=stint", "postgresql+asyncpg://@/prefect"),
    ],
)
def test_prefects_database_lies_beside_the_ledgers(dsn: str, url: str) -> None:
    assert asyncpg_url(sibling_dsn(dsn, "prefect")) == url


def test_an_option_that_prefects_driver_does_not_know_is_named() -> None:
    with pytest.raises(Misconfigured, match="target_session_attrs"):
        asyncpg_url("host=a,b target_session_attrs=read-write dbname=stint")


@pytest.mark.parametrize("dsn", ["postgresql://stint:hunter2@db/stint", "host=db user=stint password=hunter2 dbname=stint"])
def test_what_is_shown_of_a_database_has_no_password(dsn: str) -> None:
    assert sorted(without_password(dsn).split()) == ["dbname=stint", "host=db", "user=stint"]
