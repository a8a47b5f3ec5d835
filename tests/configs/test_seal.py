import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import Internal, Unreadable
from configs.seal import NONCE_BYTES, OVERHEAD_BYTES, aad_of, fields, open_sealed, seal

KEY = os.urandom(32)
PLACE = ("messages", "msg_1", "content", "org_1")
TEXT = "Grüße – a secret".encode()


@given(st.binary(max_size=4096), st.binary(max_size=64))
def test_what_is_sealed_opens(text: bytes, aad: bytes) -> None:
    sealed = seal(KEY, text, aad)
    assert len(sealed) == len(text) + OVERHEAD_BYTES
    assert open_sealed(KEY, sealed, aad) == text


def test_no_value_looks_like_another() -> None:
    sealed = {seal(KEY, TEXT, b"") for _ in range(100)}
    assert (
        len({each[1 : 1 + NONCE_BYTES] for each in sealed}) == len({each[1 + NONCE_BYTES :] for each in sealed}) == 100
    )
    assert not any(TEXT[:6] in each for each in sealed)


def test_every_flipped_bit_is_noticed() -> None:
    aad = aad_of(*PLACE)
    sealed = seal(KEY, TEXT, aad)
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(Unreadable):
                open_sealed(KEY, bytes(changed), aad)


def test_every_cut_and_every_addition_is_noticed() -> None:
    sealed = seal(KEY, TEXT, b"")
    for wrong in [*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", b"\0" + sealed]:
        with pytest.raises(Unreadable):
            open_sealed(KEY, wrong, b"")


@pytest.mark.parametrize("moved", range(4))
def test_a_value_opens_in_its_own_place_only(moved: int) -> None:
    sealed = seal(KEY, TEXT, aad_of(*PLACE))
    elsewhere = [part + "x" if number == moved else part for number, part in enumerate(PLACE)]
    with pytest.raises(Unreadable):
        open_sealed(KEY, sealed, aad_of(*elsewhere))


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Unreadable) as refused:
        open_sealed(os.urandom(32), seal(KEY, TEXT, b""), b"")
    assert isinstance(refused.value, Internal)
    assert refused.value.code == "unreadable_content"


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_a_key_of_another_length_is_a_mistake(length: int) -> None:
    with pytest.raises(ValueError, match="a key has 32 bytes"):
        seal(bytes(length), TEXT, b"")
    with pytest.raises(ValueError, match="a key has 32 bytes"):
        open_sealed(bytes(length), seal(KEY, TEXT, b""), b"")


texts = st.lists(st.text(max_size=8), max_size=5)


@given(texts, texts)
def test_two_lists_of_texts_are_two_places(first: list[str], second: list[str]) -> None:
    assert (fields(*first) == fields(*second)) == (first == second)


@pytest.mark.parametrize("other", [("messagesm", "sg_1"), ("message", "smsg_1"), ("messages\0msg_1", "")])
def test_parts_of_a_place_do_not_run_together(other: tuple[str, str]) -> None:
    assert aad_of(*other, *PLACE[2:]) != aad_of(*PLACE)
