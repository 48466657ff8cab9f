"""Which groups list which accounts, for many accounts by one search where the server can tell which of a group's values were asked for.

Where an account's entry tells its groups reliably, they are taken from it. ``memberOf`` of an overlay or a plugin is not reliable: it is
kept for some kinds of groups only, and only from the day on which the overlay was switched on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.entries import AccountEntry, Entry, any_of
from connectors.protocols.ldapv3.groups import MEMBERS, listed_as, listing
from connectors.protocols.ldapv3.names import DnKey, dn_key, is_below

AT_ONCE = 25
"""So many accounts are named in one filter. More gain nothing: a server holds each member of a group that it found against each of them."""
_UNIQUE_BITS = re.compile(r"#'[01]*'B\Z")
"""What may follow the DN in ``uniqueMember`` (RFC 4517 §3.3.21)."""


def groups_of(client: LdapV3Client, accounts: Sequence[AccountEntry]) -> list[frozenset[str]]:
    """The DNs of the groups below ``groups_base`` that list each account, in the order of ``accounts``; all of them, or an error."""
    found = [_told(client, account) for account in accounts]
    untold = [place for place, groups in enumerate(found) if groups is None]
    for start in range(0, len(untold), AT_ONCE):
        some = untold[start : start + AT_ONCE]
        for place, groups in zip(some, _searched(client, [accounts[place] for place in some]), strict=True):
            found[place] = groups
    return [groups or frozenset() for groups in found]


def _told(client: LdapV3Client, account: AccountEntry) -> frozenset[str] | None:
    if account.groups is None:
        return None
    return frozenset(group for group in account.groups if is_below(group, client.settings.groups_base))


def _searched(client: LdapV3Client, accounts: Sequence[AccountEntry]) -> list[frozenset[str]]:
    """By one search if it says of each group whom it lists, and otherwise by one for each account."""
    at_once = _by_one_search(client, accounts) if len(accounts) > 1 and client.chooses_values else None
    if at_once is not None:
        return at_once
    answers = client.search_each(client.settings.groups_base, [listing(account) for account in accounts], ("1.1",))
    return [frozenset(group.dn for group in groups) for groups in answers]


def _by_one_search(client: LdapV3Client, accounts: Sequence[AccountEntry]) -> list[frozenset[str]] | None:
    """``None`` where the server shows a value of which we cannot tell whose it is."""
    conditions = [condition for account in accounts for condition in listed_as(account)]
    groups = client.search(client.settings.groups_base, any_of(conditions), MEMBERS, only=conditions)
    members, found = _Members(accounts), [set[str]() for _ in accounts]
    for group in groups:
        places = members.of(group)
        if places is None:
            return None
        for place in places:
            found[place].add(group.dn)
    return list(map(frozenset, found))


class _Members:
    """Accounts by the values that list them, compared more loosely than any server does; so what is ambiguous here is not answered."""

    def __init__(self, accounts: Sequence[AccountEntry]) -> None:
        self._by_dn: dict[DnKey, list[int]] = defaultdict(list)
        self._by_login: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for place, account in enumerate(accounts):
            self._by_dn[dn_key(account.dn)].append(place)
            for login in dict.fromkeys((account.login, *account.aliases)):
                self._by_login[login.casefold()].append((login, place))

    def of(self, group: Entry) -> set[int] | None:
        """The places of the accounts that the shown values of a group list; ``None`` where that cannot be said, as when none are shown."""
        places: set[int] = set()
        for attribute in group.values:
            for value in group.texts(attribute):
                found = self._listed(value) if attribute.lower() == "memberuid" else self._named(value)
                if not found:
                    return None
                places.update(found)
        return places or None

    def _named(self, value: str) -> Sequence[int]:
        places = self._by_dn.get(dn_key(_UNIQUE_BITS.sub("", value)), ())
        return places if len(places) == 1 else ()

    def _listed(self, value: str) -> Sequence[int]:
        login = " ".join(value.split())
        alike = self._by_login.get(login.casefold(), ())
        return [place for _, place in alike] if all(held == login for held, _ in alike) else ()
