"""LDAP result codes: what to do next, whatever kind of server says them."""

from __future__ import annotations

import ldap
import pytest

from connectors.protocols.ldapv3.results import ResultCodes
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

CODES = ResultCodes()
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
    (ldap.CONSTRAINT_VIOLATION({"info": "Password fails quality checking policy"}), Refused, Refused),
    (ldap.INVALID_CREDENTIALS(), Misconfigured, Misconfigured),
    (ldap.CONFIDENTIALITY_REQUIRED(), Misconfigured, Misconfigured),
]


@pytest.mark.parametrize(("error", "reading", "writing"), RESULTS, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_every_result_says_what_to_do_next(error: ldap.LDAPError, reading: type[HubError], writing: type[HubError]) -> None:
    assert type(CODES.translated(error, "search", writing=False)) is reading
    assert type(CODES.translated(error, "add", writing=True)) is writing


def test_every_error_that_python_ldap_knows_ends_in_our_taxonomy() -> None:
    for kind in _all_below(ldap.LDAPError):
        for writing in (False, True):
            assert isinstance(CODES.translated(kind(), "add", writing=writing), HubError)


def _all_below(kind: type[Exception]) -> set[type[Exception]]:
    return {sub for direct in kind.__subclasses__() for sub in {direct, *_all_below(direct)}}


def test_no_such_attribute_means_a_change_in_between_only_where_something_was_deleted() -> None:
    assert CODES.translated(ldap.NO_SUCH_ATTRIBUTE(), "modify", writing=True).cause == "changed_meanwhile"
    assert CODES.translated(ldap.NO_SUCH_ATTRIBUTE(), "modify", writing=True, guarded=False).cause == "undefined_type"
    assert CODES.of_change(ldap.NO_SUCH_ATTRIBUTE(), [(ldap.MOD_DELETE, "title", None)]).cause == "changed_meanwhile"
    assert CODES.of_change(ldap.NO_SUCH_ATTRIBUTE(), [(ldap.MOD_ADD, "title", [b"x"])]).cause == "undefined_type"
