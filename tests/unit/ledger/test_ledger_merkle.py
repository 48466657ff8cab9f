from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.trail import merkle

# The seven leaves of the reference tree in Google's certificate-transparency test data, and its heads of sizes 0, 1, 2, 3 and 8.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
HEADS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize(("size", "head"), HEADS.items())
def test_the_head_is_that_of_the_certificate_transparency_reference_tree(size: int, head: str) -> None:
    assert merkle.root(LEAVES[:size]).hex() == head


@given(st.integers(1, 70), st.data())
def test_every_leaf_is_proven_and_no_other_leaf_is(size: int, data: st.DataObject) -> None:
    leaves = [number.to_bytes(2, "big") for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    proof, root = merkle.inclusion_proof(leaves, index), merkle.root(leaves)
    assert merkle.is_included(leaves[index], index, size, proof, root)
    assert not merkle.is_included(b"another", index, size, proof, root)
    assert not merkle.is_included(leaves[index], index, size, [*proof, bytes(32)], root)
    for other in range(size):
        assert merkle.is_included(leaves[index], other, size, proof, root) == (other == index)


@given(st.integers(1, 70), st.data())
def test_a_prefix_is_proven_and_a_rewritten_one_is_not(size: int, data: st.DataObject) -> None:
    leaves = [number.to_bytes(2, "big") for number in range(size)]
    old = data.draw(st.integers(1, size))
    proof, root = merkle.consistency_proof(leaves, old), merkle.root(leaves)
    assert merkle.is_consistent(old, merkle.root(leaves[:old]), size, root, proof)
    rewritten = merkle.root([b"rewritten", *leaves[1:old]])
    assert not merkle.is_consistent(old, rewritten, size, root, proof)
    assert not merkle.is_consistent(old, merkle.root(leaves[:old]), size, hashlib.sha256().digest(), proof)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_for_a_leaf_that_does_not_exist(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion_proof(LEAVES[:3], index)
    assert not merkle.is_included(b"", index, 3, [], bytes(32))
