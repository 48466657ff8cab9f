"""LDAP values and result codes: what they become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import ldap
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.ldap.dialects.openldap import OpenLdap
from connectors.ldap.records import AccountEntry, Entry, encoded, generalized_time, instant
from connectors.ldap.results import translated
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2900, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 - bounds
def test_an_expiry_is_written_to_the_second_and_never_early(moment: datetime) -> None:
    written = instant(generalized_time(moment))
    assert written is not None
    assert timedelta(0) <= written - moment < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20310331220000Z", datetime(2031, 3, 31, 22, 0, tzinfo=UTC)),
        ("2031033122Z", datetime(2031, 3, 31, 22, 0, tzinfo=UTC)),
        ("203103312200+0200", datetime(2031, 3, 31, 20, 0, tzinfo=UTC)),
        ("20310331220000.5Z", datetime(2031, 3, 31, 22, 0, tzinfo=UTC)),
        ("000001010000Z", None),
        ("20310230000000Z", None),
        ("soon", None),
        (None, None),
    ],
)
def test_generalized_times_of_every_form_are_read(text: str | None, expected: datetime | None) -> None:
    assert instant(text) == expected


def an_entry(**values: str) -> AccountEntry:
    return OpenLdap().account(Entry("uid=x", {name: [value.encode()] for name, value in values.items()}), NOW)


def test_only_the_permanent_lock_and_a_start_in_the_future_disable() -> None:
    assert not an_entry().blocked
    assert not an_entry(pwdAccountLockedTime="20261121115900Z").blocked
    assert an_entry(pwdAccountLockedTime="000001010000Z").blocked
    assert an_entry(pwdStartTime="21000101000000Z").blocked
    assert not an_entry(pwdStartTime="20260101000000Z").blocked


def test_an_employee_number_that_is_no_marker_of_ours_is_none() -> None:
    assert an_entry(employeeNumber="4711").marker is None
    assert an_entry(employeeNumber="ST0123456789ABC").marker == "ST0123456789ABC"


def test_values_become_bytes_and_emptiness_no_value() -> None:
    assert encoded("title", "Ingénieur") == ["Ingénieur".encode()]
    assert encoded("ou", ["a", "", None, 7]) == [b"a", b"7"]
    assert encoded("x", True) == [b"TRUE"]
    assert [encoded("title", value) for value in ("", None, [])] == [[], [], []]


RESULTS: list[tuple[ldap.LDAPError, type[HubError], type[HubError]]] = [
    (ldap.SERVER_DOWN(), RetryLater, OutcomeUnknown),
    (ldap.TIMEOUT(), RetryLater, OutcomeUnknown),
    (ldap.CONNECT_ERROR(), RetryLater, OutcomeUnknown),
    (ldap.OTHER(), RetryLater, OutcomeUnknown),
    (ldap.BUSY(), RetryLater, RetryLater),
    (ldap.UNAVAILABLE(), RetryLater, RetryLater),
    (ldap.TIMELIMIT_EXCEEDED(), RetryLater, RetryLater),
    (ldap.SIZELIMIT_EXCEEDED(), Refused, Refused),
    (ldap.REFERRAL(), Refused, Refused),
    (ldap.INSUFFICIENT_ACCESS(), Refused, Refused),
    (ldap.UNWILLING_TO_PERFORM(), Refused, Refused),
    (ldap.NO_SUCH_OBJECT(), NotFound, NotFound),
    (ldap.ALREADY_EXISTS(), AlreadyTaken, AlreadyTaken),
    (ldap.CONSTRAINT_VIOLATION({"info": "non-unique attributes found with (|(uid=ada))"}), AlreadyTaken, AlreadyTaken),
    (ldap.CONSTRAINT_VIOLATION({"info": "Password fails quality checking policy"}), Refused, Refused),
    (ldap.INVALID_CREDENTIALS(), Misconfigured, Misconfigured),
    (ldap.CONFIDENTIALITY_REQUIRED(), Misconfigured, Misconfigured),
]


@pytest.mark.parametrize(("error", "reading", "writing"), RESULTS, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_every_result_says_what_to_do_next(error: ldap.LDAPError, reading: type[HubError], writing: type[HubError]) -> None:
    assert type(translated(error, "search", writing=False)) is reading
    assert type(translated(error, "add", writing=True)) is writing


def test_every_error_that_python_ldap_knows_ends_in_our_taxonomy() -> None:
    for kind in _all_below(ldap.LDAPError):
        for writing in (False, True):
            assert isinstance(translated(kind(), "add", writing=writing), HubError)


def test_what_the_server_says_about_a_person_is_not_passed_on() -> None:
    error = ldap.CONSTRAINT_VIOLATION(
        {"info": "non-unique attributes found with (|(mail=ada@home.example))", "matched": "uid=ada"}
    )
    found = translated(error, "add an account", writing=True)
    assert isinstance(found, AlreadyTaken)
    assert (found.field, "ada" in str(found)) == ("mail", False)


def _all_below(kind: type[Exception]) -> set[type[Exception]]:
    return {sub for direct in kind.__subclasses__() for sub in {direct, *_all_below(direct)}}
