import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.backup.sealed import CHUNK_BYTES, MAGIC, TAG_BYTES, opened, sealed
from configs.errors import ConfigurationError, DamagedBackup
from configs.keyring import Keyring
from tests.fixtures.backups import keyring


def seal(content: bytes, keys: Keyring, name: str = "it") -> bytes:
    return b"".join(sealed([content], keys.active, name))


def unseal(content: bytes, keys: Keyring, name: str = "it") -> bytes:
    return b"".join(opened([content], keys, name))


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3_000_000])
@pytest.mark.parametrize("pieces", [777_777, 2**22])
def test_a_stream_comes_back(keys: Keyring, size: int, pieces: int) -> None:
    content = os.urandom(size)
    found = b"".join(sealed(cut(content, pieces), keys.active, "it"))
    assert b"".join(opened(cut(found, pieces), keys, "it")) == content
    assert size < 64 or content[:64] not in found


def test_two_sealings_share_nothing(keys: Keyring) -> None:
    first, second = seal(b"the same", keys), seal(b"the same", keys)
    head = first.index(b"}") + 1
    assert first[head:] != second[head:]


def test_every_flipped_bit_of_a_small_stream_is_found(keys: Keyring) -> None:
    whole = seal(b"some words", keys)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(ConfigurationError):
            unseal(bytes(changed), keys)


def test_every_truncation_of_a_small_stream_is_found(keys: Keyring) -> None:
    whole = seal(b"some words", keys)
    for length in range(len(whole)):
        with pytest.raises(DamagedBackup):
            unseal(whole[:length], keys)
    with pytest.raises(DamagedBackup):
        unseal(whole + b"x", keys)


def chunks(whole: bytes) -> tuple[bytes, list[bytes]]:
    head = whole.index(b"}") + 1
    return whole[:head], list(cut(whole[head:], CHUNK_BYTES + TAG_BYTES))


def test_chunks_left_out_doubled_or_reordered_are_found(keys: Keyring) -> None:
    whole = seal(os.urandom(3 * CHUNK_BYTES + 5), keys)
    head, (one, two, three, last) = chunks(whole)
    assert unseal(head + one + two + three + last, keys)
    for order in (
        [one, two, three],
        [one, two],
        [one, three, last],
        [two, one, three, last],
        [one, one, two, three, last],
    ):
        with pytest.raises(DamagedBackup):
            unseal(head + b"".join(order), keys)


def test_a_chunk_of_another_stream_is_found(keys: Keyring) -> None:
    first, second = (seal(os.urandom(CHUNK_BYTES + 5), keys) for _ in range(2))
    (head, (one, last)), (_, (other, _)) = chunks(first), chunks(second)
    assert len(one) == len(other)
    with pytest.raises(DamagedBackup):
        unseal(head + other + last, keys)


def test_a_stream_has_one_name(keys: Keyring) -> None:
    with pytest.raises(DamagedBackup, match="other was changed"):
        unseal(seal(b"some words", keys), keys, "other")
    renamed = seal(b"some words", keys).replace(b'"it"', b'"at"')
    with pytest.raises(DamagedBackup):
        unseal(renamed, keys, "at")


def test_another_master_key_opens_nothing(keys: Keyring, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no key"):
        unseal(seal(b"some words", keys), keyring(tmp_path, "others"))


def test_a_master_key_that_took_an_id_over_opens_nothing(keys: Keyring, tmp_path: Path) -> None:
    others = keyring(tmp_path, "others")
    (tmp_path / "others").write_text((tmp_path / "others").read_text().replace(others.active.id, keys.active.id))
    with pytest.raises(DamagedBackup, match="another key of that id"):
        unseal(seal(b"some words", keys), Keyring.read(tmp_path / "others"))


def test_an_older_master_key_still_opens(keys: Keyring) -> None:
    before = seal(b"some words", keys)
    keys.rotated()
    assert unseal(before, keys) == b"some words"
    assert keys.active.id.encode() in seal(b"some words", keys)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    keys = keyring(tmp_path_factory.getbasetemp(), "noise_keys")
    for content in (noise, MAGIC + noise, MAGIC + b"\0\0\0\x02{}" + noise):
        with pytest.raises(DamagedBackup):
            unseal(content, keys)
