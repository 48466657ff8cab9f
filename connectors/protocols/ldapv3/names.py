"""Distinguished names (RFC 4514): which text is one, which two are the same, and which lies below which."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Annotated, TypeAlias
from unicodedata import normalize

import ldap.dn
from pydantic import AfterValidator


def is_dn(text: str) -> bool:
    """Whether ``text`` is a distinguished name (RFC 4514), and not the empty one."""
    try:
        return bool(text) and "\0" not in text and bool(ldap.dn.is_dn(text))
    except UnicodeEncodeError:
        return False


def _dn(text: str) -> str:
    if not is_dn(text):
        raise ValueError("not a distinguished name (RFC 4514), such as ou=people,dc=client,dc=example")
    return text


Dn = Annotated[str, AfterValidator(_dn)]
DnKey: TypeAlias = tuple[tuple[tuple[str, str], ...], ...]


def dn_key(dn: str) -> DnKey:
    """A DN in a form that compares: its parts from the leaf up; case, space and how a letter is composed ignored (RFC 4518 §2).

    What a server shows and libldap cannot read is ``()``, and so lies nowhere.
    """
    try:
        return tuple(tuple(sorted((_folded(a), _folded(v)) for a, v, _ in rdn)) for rdn in ldap.dn.str2dn(dn))
    except ldap.DECODING_ERROR:
        return ()


def _folded(text: str) -> str:
    return " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())


def is_below(dn: str, base: str) -> bool:
    """Whether ``dn`` is an entry strictly below ``base``."""
    return lies_below(dn_key(dn), dn_key(base))


def lies_below(inner: DnKey, outer: DnKey) -> bool:
    """The same for keys."""
    return len(inner) > len(outer) and inner[-len(outer) :] == outer


def shared_base(dns: Sequence[str]) -> str:
    """The part of the tree that all ``dns`` share; empty where there is none."""
    upwards, keys = ldap.dn.str2dn(dns[0])[::-1], [dn_key(dn)[::-1] for dn in dns]
    shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*keys, strict=False)))
    return str(ldap.dn.dn2str(upwards[:shared][::-1]))
