"""Merkle trees of RFC 6962, section 2.1: root, inclusion proofs, consistency proofs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256 over ``0x00`` and the leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 over ``0x01`` and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree's head (MTH); of no leaves it is SHA-256 of nothing."""
    if not leaves:
        return hashlib.sha256().digest()
    return _root_of([leaf_hash(leaf) for leaf in leaves])


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(index, leaves): what is needed to compute the root from leaf ``index`` (0-based), deepest first."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} among {len(leaves)}")
    return _path([leaf_hash(leaf) for leaf in leaves], index)


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether ``proof`` shows that ``leaf`` is number ``index`` of the ``size`` leaves under ``root_hash`` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    first, last, computed = index, size - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            computed = node_hash(sibling, computed)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and computed == root_hash


def consistency_proof(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """PROOF(size, leaves): what is needed to show that the first ``size`` leaves are a prefix of all of them."""
    if not 0 < size <= len(leaves):
        raise IndexError(f"there is no prefix of {size} among {len(leaves)}")
    return _subproof([leaf_hash(leaf) for leaf in leaves], size, complete=True)


def is_consistent(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows the old tree to be a prefix of the new one (RFC 9162, 2.1.4.2)."""
    if not 0 < old_size <= new_size or (old_size == new_size and proof):
        return False
    if old_size == new_size:
        return old_root == new_root
    # a complete old tree is its own first node, and the proof leaves it out
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    if not path:
        return False
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _root_of(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    cut = _split(len(hashes))
    return node_hash(_root_of(hashes[:cut]), _root_of(hashes[cut:]))


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    cut = _split(len(hashes))
    if index < cut:
        return [*_path(hashes[:cut], index), _root_of(hashes[cut:])]
    return [*_path(hashes[cut:], index - cut), _root_of(hashes[:cut])]


def _subproof(hashes: Sequence[bytes], size: int, *, complete: bool) -> list[bytes]:
    if size == len(hashes):
        return [] if complete else [_root_of(hashes)]
    cut = _split(len(hashes))
    if size <= cut:
        return [*_subproof(hashes[:cut], size, complete=complete), _root_of(hashes[cut:])]
    return [*_subproof(hashes[cut:], size - cut, complete=False), _root_of(hashes[:cut])]
