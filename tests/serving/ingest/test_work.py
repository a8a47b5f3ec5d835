"""With the real child that reads, and the real MiniLM."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import orjson
import pytest

from configs.errors import ConfigurationError, Unavailable, Unreadable
from configs.seal import open_sealed
from models.embedding.bulk import encode_all
from models.embedding.probe import kept, probe
from models.embedding.sentence_transformers import create
from retrieval import reading
from retrieval.chunking import Chunk
from retrieval.documents import Document, Limits, Piece, joined
from retrieval.feed import notes_place
from serving.ingest.protocol import Batch, End, FileWork, Group, SealedChunk
from serving.ingest.windows import Windows
from serving.ingest.work import sealed_notes, work
from tests.fixtures.encoders import embedder, save_retrained_minilm, spec
from tests.fixtures.ingesting import AWAY, KEY, Contents, opened
from tests.fixtures.reading import find_code
from tests.retrieval.parsers.samples import SAMPLES

FILLER = (
    "The committee met on a grey morning and talked at length about chairs, tables and the colour of the curtains. "
)
ANSWER = "The lighthouse of the northern island is painted turquoise."
LOCKED_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n" + (
    b"3 0 obj<</Filter/Standard/V 1/R 2/P -44/O(" + b"o" * 32 + b")/U(" + b"u" * 32 + b")>>endobj\n"
    b"trailer<</Root 1 0 R/Encrypt 3 0 R/ID[(i)(i)]>>\n%%EOF\n"
)


@pytest.fixture(autouse=True)
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    find_code(tmp_path, monkeypatch)
    reading.shared.cache_clear()
    yield
    reading.shared().close()
    reading.shared.cache_clear()


def file(name: str, max_tokens: int = 800, overlap_tokens: int = 400, dimensions: int = 384) -> FileWork:
    return FileWork("vs_1", f"file-{name}", "default", name, max_tokens, overlap_tokens, dimensions, KEY)


def group(*files: FileWork, limits: Limits | None = None) -> Group:
    return Group("{}", files, limits or Limits())


def done(made: Group, contents: dict[str, bytes | Exception]) -> tuple[dict[int, list[SealedChunk]], dict[int, End]]:
    return gathered(list(work(made, Contents(contents), embedder())))


def gathered(batches: list[Batch]) -> tuple[dict[int, list[SealedChunk]], dict[int, End]]:
    chunks: dict[int, list[SealedChunk]] = {}
    ends: dict[int, End] = {}
    for batch in batches:
        for piece in batch:
            assert piece.file not in ends
            chunks.setdefault(piece.file, []).extend(piece.chunks)
            if piece.end is not None:
                ends[piece.file] = piece.end
    return chunks, ends


def bomb() -> bytes:
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("zeros.txt", b"0" * 300 * 2**20)
    return packed.getvalue()


def test_a_long_chunk_is_found_by_its_last_sentence() -> None:
    text = FILLER * 36 + ANSWER
    long = file("minutes.txt", 1000, 0)
    chunks, ends = done(group(long), {"file-minutes.txt": text.encode()})
    ((content, vectors),) = [opened(long, chunk) for chunk in chunks[0]]
    assert content["text"] == text
    assert (content["start"], content["end"]) == (0, len(text))
    assert len(embedder().offsets(text)) > 700
    assert len(vectors) > 3
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    (query,) = encode_all(embedder(), embedder().tokenize(["What colour is the northern lighthouse?"]))
    cosines = vectors @ query
    assert cosines.argmax() == len(vectors) - 1
    assert cosines[-1] > 0.35 > cosines[0]
    assert ends[0] == End(1, len(chunks[0][0][1]) + len(chunks[0][0][2]))


def test_notes_are_sealed_for_their_file_and_bounded() -> None:
    made = file("a.zip")
    told = [f"{number}: {'locked ' * 99}" for number in range(60)]
    notes = open_sealed(KEY, sealed_notes(made, told), notes_place("vs_1", "file-a.zip", "default"))
    found = orjson.loads(notes)
    assert (len(found), len(found[0]), found[-1]) == (51, 301, "There are 10 more.")
    with pytest.raises(Unreadable):
        open_sealed(KEY, sealed_notes(made, told), notes_place("vs_1", "file-b.zip", "default"))


def test_one_bad_file_does_not_stop_the_others() -> None:
    names = ["a.txt", "locked.pdf", "bomb.zip", "empty.md", "gone.txt", "old.doc", "long.txt", "z.md"]
    contents: dict[str, bytes | Exception] = {
        "file-a.txt": b"Herons wade.",
        "file-locked.pdf": LOCKED_PDF,
        "file-bomb.zip": bomb(),
        "file-empty.md": b"  \n",
        "file-old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        "file-long.txt": b"word " * 5000,
        "file-z.md": b"# Rays\n\nRays glide.",
    }
    made = group(*map(file, names), limits=Limits(text_characters=20_000))
    chunks, ends = done(made, contents)
    codes = {names[place]: end.code for place, end in ends.items()}
    assert codes == {
        "a.txt": None, "locked.pdf": "invalid_file", "bomb.zip": "invalid_file", "empty.md": "invalid_file",
        "gone.txt": "server_error", "old.doc": "unsupported_file", "long.txt": "invalid_file", "z.md": None,
    }  # fmt: skip
    assert {names[place] for place, found in chunks.items() if found} == {"a.txt", "z.md"}
    for end in ends.values():
        assert end.code is None or (end.message or "").endswith(".")
    content, _ = opened(made.files[7], chunks[7][0])
    assert content == {
        "text": "# Rays\n\nRays glide.", "start": 0, "end": 19, "page": None, "pages": [], "headings": ["Rays"],
        "table_head": None,
    }  # fmt: skip


def test_every_format_becomes_chunks() -> None:
    samples = {name: make() for name, make in SAMPLES.items()}
    made = group(*(file(each.filename) for each in samples.values()), limits=samples["docling"].limits)
    chunks, ends = done(made, {f"file-{each.filename}": each.data for each in samples.values()})
    assert {end.code for end in ends.values()} == {None}
    for place, sample in enumerate(samples.values()):
        texts = "\n".join(str(opened(made.files[place], chunk)[0]["text"]) for chunk in chunks[place])
        assert all(text in texts for text in sample.texts)


def test_pages_that_begin_in_a_chunk_are_sealed_with_it() -> None:
    def read(data: bytes, filename: str, limits: Limits) -> Document:
        return joined([Piece("Herons.", page=1), Piece("Rays.", page=2)], limits)

    pdf = file("a.pdf")
    ((piece,),) = work(group(pdf), Contents({"file-a.pdf": b"x"}), embedder(), read)
    content, _ = opened(pdf, piece.chunks[0])
    assert (content["page"], content["pages"]) == (1, [[len("Herons.\n\n"), 2]])


def test_numbers_go_on_over_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.ingest.work.BATCH_CHUNKS", 4)
    long, short = file("long.txt", 100, 0), file("short.txt")
    contents: dict[str, bytes | Exception] = {"file-long.txt": (FILLER * 50).encode(), "file-short.txt": b"Herons."}
    batches = list(work(group(long, short), Contents(contents), embedder()))
    assert len(batches) > 2
    chunks, ends = gathered(batches)
    assert [number for number, *_ in chunks[0]] == list(range(ends[0].chunk_count))
    assert ends[0].chunk_count > 8
    assert ends[1].chunk_count == 1


def test_headings_are_read_with_the_chunk_and_not_stored_in_it() -> None:
    page = f"# Lighthouses\n\n## Northern island\n\n{FILLER * 4}\n\n## Southern island\n\nIt is red.\n"
    short = file("a.md", 100, 0)
    chunks, _ = done(group(short), {"file-a.md": page.encode()})
    found = [opened(short, chunk) for chunk in chunks[0]]
    content, _ = found[-1]
    assert content["headings"] == ["Lighthouses", "Southern island"]
    assert "Lighthouses" not in str(content["text"])
    (read,) = Windows(embedder()).inputs([Chunk(0, 1, "It is red.", headings=("Lighthouses", "Southern island"))])
    assert read == embedder().tokenize(["Lighthouses\nSouthern island\nIt is red."])


def test_no_window_is_longer_than_the_model_reads() -> None:
    headings = tuple(f"{'long heading ' * 40}{number}" for number in range(3))
    chunks = [
        Chunk(0, 1, FILLER * 40, headings=headings, table_head="a | b"),
        Chunk(0, 1, "x" * 9000),
        Chunk(0, 1, "日本語の文章です。" * 300),
        Chunk(0, 1, "\U0001f600" * 600),
    ]
    found = Windows(embedder()).inputs(chunks)
    assert all(windows and all(0 < len(ids) <= embedder().max_tokens for ids in windows) for windows in found)
    assert len(found[0]) > 3


def test_a_file_that_cannot_be_reached_now_waits_and_the_others_go_on() -> None:
    made = group(file("a.txt"), file("b.txt"), file("c.txt"))
    _, ends = done(made, {"file-a.txt": b"Herons.", "file-b.txt": AWAY, "file-c.txt": b"Rays."})
    assert {place: end.code for place, end in ends.items()} == {0: None, 2: None}


def test_what_was_ready_is_handed_on_before_no_file_can_be_read() -> None:
    def read(data: bytes, filename: str, limits: Limits) -> Document:
        if filename == "b.txt":
            raise Unavailable("The process that reads documents could not be started.")
        return Document("", data.decode(), ())

    made = group(file("a.txt"), file("b.txt"), file("c.txt"))
    source = Contents({"file-a.txt": b"Herons.", "file-b.txt": b"b", "file-c.txt": b"c"})
    steps = work(made, source, embedder(), read)
    (piece,) = next(steps)
    assert (piece.file, piece.end is not None) == (0, True)
    with pytest.raises(Unavailable):
        next(steps)
    assert source.asked == ["file-a.txt", "file-b.txt"]


def test_a_model_of_another_size_is_refused() -> None:
    made = group(file("a.txt", dimensions=3), file("b.txt"))
    _, ends = done(made, {"file-a.txt": b"Herons.", "file-b.txt": b"Rays."})
    assert (ends[0].code, ends[1].code) == ("server_error", None)
    assert "embeds the store anew" in (ends[0].message or "")


def test_a_model_with_other_weights_adds_nothing_to_a_store(tmp_path: Path) -> None:
    made = group(replace(file("a.txt"), probe=kept(probe(embedder()))), file("b.txt"))
    contents: dict[str, bytes | Exception] = {"file-a.txt": b"Herons.", "file-b.txt": b"Rays."}
    _, ends = gathered(list(work(made, Contents(contents), embedder())))
    assert (ends[0].code, ends[1].code) == (None, None)
    _, ends = gathered(list(work(made, Contents(contents), create(spec(save_retrained_minilm(tmp_path))))))
    assert (ends[0].code, ends[1].code) == ("server_error", None)
    assert "other vectors than this store was made with" in (ends[0].message or "")


def test_a_fault_of_ours_concerns_one_file() -> None:
    def read(data: bytes, filename: str, limits: Limits) -> Document:
        if filename == "a.txt":
            raise RuntimeError
        return Document("", data.decode(), ())

    contents = Contents({"file-a.txt": b"a", "file-b.txt": b"Herons."})
    _, ends = gathered(list(work(group(file("a.txt"), file("b.txt")), contents, embedder(), read)))
    assert (ends[0].code, ends[1].code) == ("server_error", None)


def test_a_machine_that_cannot_read_now_is_no_fault_of_a_file() -> None:
    def read(data: bytes, filename: str, limits: Limits) -> Document:
        raise ConfigurationError("the disk is full; free some space")

    with pytest.raises(Unavailable):
        list(work(group(file("a.txt")), Contents({"file-a.txt": b"a"}), embedder(), read))


def test_keys_are_not_shown() -> None:
    assert "kkkk" not in repr(group(file("a.txt")))
