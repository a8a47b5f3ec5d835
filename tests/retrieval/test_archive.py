import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import archive
from retrieval.collection import Collection, Entry, Query
from retrieval.filters import parse
from retrieval.index.protocol import Shape

D = 12


def plain(piece: bytes, bound: bytes) -> bytes:
    return piece


class Key:
    """AES-GCM, as a store's key seals."""

    def __init__(self) -> None:
        self.cipher = AESGCM(secrets.token_bytes(32))

    def seal(self, piece: bytes, bound: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self.cipher.encrypt(nonce, piece, bound)

    def unseal(self, piece: bytes, bound: bytes) -> bytes:
        try:
            return self.cipher.decrypt(piece[:12], piece[12:], bound)
        except InvalidTag as error:
            raise ValueError("not sealed with this key") from error


def collection_of(count: int, budget_bytes: int | None = None) -> Collection:
    collection = Collection(Shape(D), budget_bytes)
    vectors = np.random.default_rng(0).normal(size=(count, D)).astype(np.float32)
    half = count // 2
    entries = [Entry(id_, vectors[id_ : id_ + 1], [f"w{id_ % 9}", "ü"], f"f{id_ % 3}") for id_ in range(count)]
    collection.apply(1, entries[:half], described={"f0": {"n": 1.0, "s": "x", "b": True}, "f1": {"n": 2.0}})
    collection.compact()
    collection.apply(2, entries[half:], removed=[1, 2])
    return collection


def answers(collection: Collection) -> list[Any]:
    query = np.random.default_rng(1).normal(size=D).astype(np.float32)
    filters = [None, parse({"type": "eq", "key": "b", "value": True}), parse({"type": "gt", "key": "n", "value": 1})]
    found = [collection.search(Query(query, ["w3"], filter=each, k=20)) for each in filters]
    return [[(hit.chunk_id, round(hit.dense, 5), round(hit.lexical, 5)) for hit in hits] for hits in found]


@pytest.mark.parametrize(("count", "budget"), [(0, None), (60, None), (4000, 1)])
def test_what_is_loaded_answers_as_before_and_goes_on(count: int, budget: int | None) -> None:
    key, collection = Key(), collection_of(count, budget)
    pieces = list(archive.dump(collection.content(), key.seal))
    loaded = Collection.of(archive.load(pieces, key.unseal), budget)
    assert (loaded.seq, loaded.size) == (2, collection.size)
    assert answers(loaded) == answers(collection)
    for each in (loaded, collection):
        each.apply(3, [Entry(5, np.ones((2, D), np.float32), ["w3"], "f9")], [7], {"f1": {"n": 0.0}})
    assert answers(loaded) == answers(collection)
    assert loaded.compact()
    assert loaded.size == collection.size


@pytest.fixture(scope="module")
def good() -> list[bytes]:
    return list(archive.dump(collection_of(3000, 1).content(), plain))


def damaged(good: Sequence[bytes], seed: int) -> list[bytes]:
    """One bit, byte run, cut, repetition or exchange somewhere."""
    draw, pieces = np.random.default_rng(seed), list(good)
    which = int(draw.integers(0, len(pieces)))
    piece = bytearray(pieces[which])
    place = int(draw.integers(0, len(piece)))
    if (how := seed % 4) == 0:
        piece[place] ^= 1 << int(draw.integers(0, 8))
    elif how == 1:
        piece[place : place + 40] = bytes(byte ^ 255 for byte in piece[place : place + 40])
    elif how == 2:
        del piece[place:]
    else:
        piece += piece[place:]
    pieces[which] = bytes(piece)
    return pieces


def all_refused(good: Sequence[bytes], count: int) -> None:
    for seed in range(count):
        with pytest.raises(archive.Refused):
            archive.load(damaged(good, seed), plain)


def test_mutated_dumps_are_refused_before_anything_is_built(good: list[bytes]) -> None:
    all_refused(good, 200)


@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_ten_thousand_mutated_dumps_are_refused(good: list[bytes]) -> None:
    all_refused(good, 10_000)


def test_pieces_missing_doubled_exchanged_or_of_another_dump_are_refused(good: list[bytes]) -> None:
    key = Key()
    content = collection_of(60).content()
    one, other = (list(archive.dump(content, key.seal)) for _ in range(2))
    assert len(one) == 2
    archive.load([one[0], other[1]], key.unseal)  # the same content
    for pieces in ([], one[:1], one[1:], [*one, one[1]], one[::-1]):
        with pytest.raises(archive.Refused):
            archive.load(pieces, key.unseal)
    for pieces in (good[:-1], [*good, good[-1]], [good[0], one[1]]):
        with pytest.raises(archive.Refused):
            archive.load(pieces, plain)
    with pytest.raises(archive.Refused, match="does not open"):
        archive.load(one, Key().unseal)


def test_no_word_of_a_chunk_stands_in_sealed_pieces(tmp_path: Path) -> None:
    collection, key = Collection(Shape(D)), Key()
    collection.apply(1, [Entry(1, np.ones((1, D), np.float32), ["quixotic"], "file-secret")])
    assert b"quixotic" in b"".join(archive.dump(collection.content(), plain))
    sealed = b"".join(archive.dump(collection.content(), key.seal))
    assert b"quixotic" not in sealed
    assert b"file-secret" not in sealed


@settings(max_examples=30, deadline=None)
@given(data=st.lists(st.binary(max_size=50), max_size=4))
def test_anything_else_is_refused(data: list[bytes]) -> None:
    with pytest.raises(archive.Refused):
        archive.load(data, plain)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"1", b"no JSON"])
def test_a_manifest_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(archive.Refused):
        archive.load([hashlib.sha256(body).digest() + body], plain)


def test_another_format_is_named(good: list[bytes]) -> None:
    body = good[0][32:].replace(b'"version":1', b'"version":2')
    with pytest.raises(archive.Refused, match="2; this program reads 'manta collection' 1"):
        archive.load([hashlib.sha256(body).digest() + body, *good[1:]], plain)
