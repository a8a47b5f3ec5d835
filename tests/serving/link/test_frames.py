from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import errors
from models.wire import Call, Usage
from serving.link.frames import (
    HEADER,
    KNOWN_ERRORS,
    MAX_HELLO,
    MAX_PAYLOAD,
    FrameKind,
    LinkBroken,
    Splitter,
    pack,
    pack_error,
    pack_open,
    pack_usage,
    unpack_error,
    unpack_open,
    unpack_usage,
)

STREAM = st.integers(0, 2**32 - 1)
FRAMES = st.lists(st.tuples(st.sampled_from(FrameKind), STREAM, st.binary(max_size=60)), max_size=12)
COUNT = st.integers(0, 2**32 - 1)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(FRAMES, st.lists(st.integers(0, 1000), max_size=30))
def test_frames_come_out_as_they_went_in_wherever_the_stream_is_cut(
    frames: list[tuple[FrameKind, int, bytes]], places: list[int]
) -> None:
    data = b"".join(pack(kind, stream, payload) for kind, stream, payload in frames)
    splitter = Splitter()
    assert [frame for piece in cut(data, places) for frame in splitter.feed(piece)] == frames


@given(FRAMES)
def test_frames_come_out_byte_by_byte(frames: list[tuple[FrameKind, int, bytes]]) -> None:
    data = b"".join(pack(kind, stream, payload) for kind, stream, payload in frames)
    splitter = Splitter()
    assert [frame for at in range(len(data)) for frame in splitter.feed(data[at : at + 1])] == frames


def test_an_incomplete_frame_waits_for_its_last_byte() -> None:
    splitter = Splitter()
    data = pack(FrameKind.DATA, 7, b"x" * 100)
    assert list(splitter.feed(data[:-1])) == []
    assert list(splitter.feed(data[-1:])) == [(FrameKind.DATA, 7, b"x" * 100)]


@pytest.mark.parametrize("cuts", [[], [3], [8]], ids=["whole", "early in the header", "late in the header"])
def test_a_frame_that_claims_too_much_breaks_the_link_at_its_header(cuts: list[int]) -> None:
    data = pack(FrameKind.DATA, 1, b"good") + HEADER.pack(MAX_PAYLOAD + 1, 1, FrameKind.DATA)
    splitter = Splitter()
    *first, last = cut(data, [13 + place for place in cuts])
    for piece in first:
        assert list(splitter.feed(piece)) == [(FrameKind.DATA, 1, b"good")]
    with pytest.raises(LinkBroken, match=str(MAX_PAYLOAD + 1)):
        list(splitter.feed(last))


def test_a_frame_of_the_largest_size_is_waited_for() -> None:
    splitter = Splitter()
    assert list(splitter.feed(HEADER.pack(MAX_PAYLOAD, 1, FrameKind.DATA))) == []


@given(st.builds(Call, path=st.text(), body=st.binary(), request_id=st.text(), tenant=st.text(), lease=st.text()))
def test_a_call_survives_its_frame(call: Call) -> None:
    ((kind, stream, payload),) = Splitter().feed(pack_open(5, call))
    assert (kind, stream) == (FrameKind.OPEN, 5)
    assert unpack_open(payload) == call


@given(st.builds(Usage, COUNT, COUNT, COUNT))
def test_usage_survives_its_frame(usage: Usage) -> None:
    assert unpack_usage(pack_usage(usage)) == usage


@pytest.mark.parametrize("cls", KNOWN_ERRORS.values(), ids=KNOWN_ERRORS.keys())
def test_every_error_of_the_tree_survives_its_frame(cls: type[errors.MantaError]) -> None:
    arrived = unpack_error(pack_error(cls("words", param="field", retry_after_s=1.5)))
    assert type(arrived) is cls
    assert (arrived.message, arrived.param, arrived.retry_after_s) == ("words", "field", 1.5)


def test_the_known_errors_are_the_whole_tree() -> None:
    def below(cls: type[Any]) -> set[type[Any]]:
        return {cls} | {each for child in cls.__subclasses__() for each in below(child)}

    tree = {cls for cls in below(errors.MantaError) if cls.__module__ == errors.__name__}
    assert set(KNOWN_ERRORS.values()) == tree


def test_an_error_of_an_unknown_name_becomes_an_internal_one() -> None:
    class Homemade(errors.NotFound):
        pass

    arrived = unpack_error(pack_error(Homemade("words", param="field")))
    assert type(arrived) is errors.Internal
    assert (arrived.message, arrived.param) == ("words", "field")


def test_no_name_reaches_anything_but_the_tree() -> None:
    for name in ("Any", "ClassVar", "_rebuild", "__builtins__"):
        assert type(unpack_error(b'["%b","words",null,null]' % name.encode())) is errors.Internal


def test_before_the_secret_little_is_kept() -> None:
    splitter = Splitter(MAX_HELLO)
    with pytest.raises(LinkBroken, match=str(MAX_HELLO)):
        list(splitter.feed(HEADER.pack(MAX_HELLO + 1, 0, FrameKind.HELLO)))
