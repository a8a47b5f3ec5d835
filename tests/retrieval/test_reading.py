"""With the real child process."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from configs import respondent
from retrieval.documents import Limits, Unreadable
from retrieval.reading import Reader
from tests.retrieval.parsers.damage import damaged, spoilt
from tests.retrieval.parsers.samples import SAMPLES
from tests.retrieval.parsers.test_contract import check


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(respondent.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    made = Reader()
    yield made
    made.close()


def test_one_child_reads_one_file_after_another(reader: Reader) -> None:
    samples = [make() for make in SAMPLES.values()]
    for sample in samples:
        document = reader.read(sample.data, sample.filename, sample.limits)
        check(document)
        assert all(text in document.text for text in sample.texts)
    first = reader.pid
    reader.read(b"a", "a.txt", Limits())
    assert reader.pid == first


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=[pytest.mark.deep, pytest.mark.timeout(1200)])])
def test_damaged_files_harm_nobody(reader: Reader, count: int) -> None:
    chance = random.Random(7)
    samples = [make() for make in SAMPLES.values()]
    for turn in range(count):
        sample = samples[turn // 2 % len(samples)]
        refused = None
        try:
            check(reader.read((damaged, spoilt)[turn % 2](sample.data, chance), sample.filename, sample.limits))
        except Unreadable as error:
            refused = error
        assert refused is None or refused.code in {"invalid_file", "unsupported_file"}


@pytest.mark.parametrize("limits", [Limits(cpu_s=1), Limits(memory_bytes=300 * 2**20)])
def test_too_much_time_or_memory_is_refused_and_the_next_file_read(reader: Reader, limits: Limits) -> None:
    with pytest.raises(Unreadable) as caught:
        reader.read(b"a b\n" * 4_900_000, "a.md", limits)
    assert caught.value.code == "invalid_file"
    assert reader.read(b"words", "a.txt", Limits()).text == "words"


def test_a_child_that_was_killed_is_followed_by_another(reader: Reader) -> None:
    reader.read(b"a", "a.txt", Limits())
    assert reader.pid is not None
    os.kill(reader.pid, SIGKILL)
    assert reader.read(b"words", "a.txt", Limits()).text == "words"


def test_a_name_of_any_kind(reader: Reader) -> None:
    assert reader.read(b"words", "\udc80.txt", Limits()).text == "words"
