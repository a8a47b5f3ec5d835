"""What holds for every parser of the folder."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs import plugins
from retrieval.documents import Document, Limits, Unreadable
from retrieval.formats import PACKAGE, choose, formats, parse
from tests.retrieval.parsers.damage import damaged, spoilt
from tests.retrieval.parsers.samples import SAMPLES, Sample

NAMES = plugins.available(PACKAGE)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sample(name: str) -> Sample:
    return SAMPLES[name]()


def check(document: Document) -> None:
    """Its blocks are in order, and are spans of text that any database holds."""
    end = 0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(document.text)
        assert not document.text[end : block.start].strip()
        assert document.text[block.start : block.end].strip()
        assert (block.level > 0) == (block.kind == "heading")
        end = block.end
    assert not document.text[end:].strip()
    (document.title + document.text).encode()
    assert "\0" not in document.text


def test_a_sample_is_read(name: str, sample: Sample) -> None:
    assert choose(sample.data, sample.filename, sample.limits) is formats()[name]
    document = parse(sample.data, sample.filename, sample.limits)
    check(document)
    place = 0
    for text in sample.texts:
        place = document.text.index(text, place) + len(text)


def test_suffixes_are_one_formats(name: str) -> None:
    own = formats()[name].suffixes
    assert own
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in own)
    assert not any(own & formats()[other].suffixes for other in NAMES if other != name)


def test_a_wrong_suffix_does_not_matter_where_the_content_tells(name: str, sample: Sample) -> None:
    wrong = "sheet.txt" if formats()[name].certain else "file.bin"
    if formats()[name].recognises is not None:
        assert choose(sample.data, wrong, sample.limits) is formats()[name]


def test_too_much_is_refused(sample: Sample) -> None:
    for limits in (replace(sample.limits, file_bytes=9), replace(sample.limits, text_characters=3)):
        with pytest.raises(Unreadable) as caught:
            parse(sample.data, sample.filename, limits)
        assert caught.value.code == "invalid_file"


@pytest.mark.parametrize("data", [b"", b" \n\0", b"\xef\xbb\xbf"])
def test_nothing_is_refused(sample: Sample, data: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(data, sample.filename, sample.limits)


@given(data=st.binary(max_size=300))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_a_document_or_refused(name: str, data: bytes) -> None:
    for suffix in sorted(formats()[name].suffixes)[:1]:
        document_or_not(data, f"noise{suffix}", Limits())


def test_damage_is_a_document_or_refused(sample: Sample) -> None:
    chance = random.Random(4)
    for turn in range(40):
        document_or_not((damaged, spoilt)[turn % 2](sample.data, chance), sample.filename, sample.limits)


def document_or_not(data: bytes, filename: str, limits: Limits) -> None:
    refused = None
    try:
        check(parse(data, filename, replace(limits, text_characters=10_000)))
    except Unreadable as error:
        refused = error
    assert refused is None or refused.code in {"invalid_file", "unsupported_file"}
    assert refused is None or refused.message.endswith(".")
