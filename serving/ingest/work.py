"""Files to sealed chunks: read in a process with limits, cut, embedded sorted by length, sealed, handed on in batches.

One file that cannot be read does not stop the others. Whoever calls it decides where and at what priority it runs.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import orjson

from configs import errors
from configs.errors import ConfigurationError, Unavailable
from configs.seal import seal
from models.embedding.bulk import encode_all
from models.embedding.probe import is_same, probe
from models.embedding.protocol import Embedder, Vectors
from retrieval.chunking import Chunk, chunks
from retrieval.documents import Document, Limits, Unreadable, clean
from retrieval.feed import chunk_place, notes_place
from retrieval.reading import read_document
from serving.ingest.protocol import Batch, End, FileWork, Group, Piece, SealedChunk, Source
from serving.ingest.windows import Windows

log = logging.getLogger(__name__)

BATCH_CHUNKS = 256
BATCH_CHARACTERS = 256 * 1024
"""About 300 windows of MiniLM, and with their vectors less than 4 MiB."""
NOTES, NOTE_CHARACTERS = 50, 300
Read = Callable[[bytes, str, Limits], Document]
OTHER_MODEL = (
    "The model {!r} gives {} now. Name it anew as the store's 'embedding_model', which embeds the store anew, or serve "
    "the former model and add the file again."
)
GONE = "The file's content is not there any more. Upload it again."
FAULT = "A fault of ours kept this file from being read; the server's log tells more."


def work(group: Group, source: Source, embedder: Embedder, read: Read = read_document) -> Iterator[Batch]:
    """What becomes ready of the group's files, in their order. One that cannot be reached now has no end.

    Raises:
        Unavailable: no process can be started that reads files; what was ready came before.
        Internal: the embedder fails.
    """
    wave = _Wave(group, embedder)
    for place, file in enumerate(group.files):
        if (gives := _unlike(file, embedder)) is not None:
            wave.fail(place, "server_error", OTHER_MODEL.format(embedder.model_name, gives))
            continue
        try:
            content = source.read(file.file_id)
        except Unavailable as error:
            log.info("a file of %s waits: %s", file.store_id, error.message)
        except errors.Unreadable:
            wave.fail(place, "server_error", GONE)
        else:
            yield from _one(wave, place, content, read)
    if batch := wave.ready():
        yield batch


def _one(wave: "_Wave", place: int, content: bytes, read: Read) -> Iterator[Batch]:
    """Batches that are full while a file is cut."""
    file = wave.group.files[place]
    try:
        document = read(content, file.filename, wave.group.limits)
        for chunk in chunks(document, wave.embedder.offsets, file.max_tokens, file.overlap_tokens):
            wave.add(place, chunk)
            if wave.full:
                yield wave.ready()
        wave.end(place, document.notes)
    except Unreadable as refused:
        wave.fail(place, refused.code, refused.message)
    except (Unavailable, ConfigurationError) as error:  # also a full disk: the process that reads can write no log
        yield wave.ready()
        raise Unavailable("No file can be read here now.") from error
    except (errors.Internal, MemoryError):
        raise
    except Exception:
        log.exception("a file of %s could not be cut", file.store_id)
        wave.fail(place, "server_error", FAULT)


class _Wave:
    """Chunks that wait for the embedder."""

    def __init__(self, group: Group, embedder: Embedder) -> None:
        self.group = group
        self.embedder = embedder
        self._windows = Windows(embedder)
        self._waiting: list[tuple[int, int, Chunk]] = []
        self._characters = 0
        self._counts = [0] * len(group.files)
        self._bytes = [0] * len(group.files)
        self._notes: dict[int, bytes | None] = {}
        self._ends: dict[int, End | None] = {}

    @property
    def full(self) -> bool:
        """Whether it is time to embed."""
        return len(self._waiting) >= BATCH_CHUNKS or self._characters >= BATCH_CHARACTERS

    def add(self, place: int, chunk: Chunk) -> None:
        """The next chunk of a file."""
        self._waiting.append((place, self._counts[place], chunk))
        self._characters += len(chunk.text)
        self._counts[place] += 1

    def end(self, place: int, notes: Sequence[str] = ()) -> None:
        """A file has no more chunks; `notes` tell what of it was not read."""
        self._notes[place] = sealed_notes(self.group.files[place], notes) if notes else None
        self._ends[place] = None

    def fail(self, place: int, code: str, message: str) -> None:
        """Nothing of a file counts."""
        self.forget(place)
        self._ends[place] = End(code=code, message=message)

    def forget(self, place: int) -> None:
        """What waits of a file is not wanted."""
        self._waiting = [each for each in self._waiting if each[0] != place]

    def ready(self) -> Batch:
        """Embed and seal what waits."""
        sealed: dict[int, list[SealedChunk]] = {}
        inputs = self._windows.inputs([chunk for *_, chunk in self._waiting])
        vectors = encode_all(self.embedder, [ids for each in inputs for ids in each])
        first = 0
        for (place, number, chunk), windows in zip(self._waiting, inputs, strict=True):
            made = sealed_chunk(self.group.files[place], number, chunk, vectors[first : first + len(windows)])
            first += len(windows)
            self._bytes[place] += len(made[1]) + len(made[2])
            sealed.setdefault(place, []).append(made)
        places = sorted(sealed.keys() | self._ends.keys())
        batch = tuple(Piece(place, tuple(sealed.get(place, ())), self._end(place)) for place in places)
        self._waiting, self._characters, self._ends = [], 0, {}
        return batch

    def _end(self, place: int) -> End | None:
        if place not in self._ends:
            return None
        return self._ends[place] or End(self._counts[place], self._bytes[place], notes=self._notes[place])


def sealed_chunk(file: FileWork, number: int, chunk: Chunk, vectors: Vectors) -> SealedChunk:
    """A chunk as the table keeps it; `vectors` [windows, dimensions]."""
    content = orjson.dumps(
        {
            "text": chunk.text, "start": chunk.start, "end": chunk.end, "page": chunk.page,
            "pages": chunk.pages, "headings": chunk.headings, "table_head": chunk.table_head,
        }
    )  # fmt: skip
    raw = vectors.astype("<f4", copy=False).tobytes()
    own = (file.store_id, file.file_id, number)
    return (
        number,
        seal(file.key, content, chunk_place(*own, "content", file.organization_id)),
        seal(file.key, raw, chunk_place(*own, "vectors", file.organization_id)),
    )


def sealed_notes(file: FileWork, notes: Sequence[str]) -> bytes:
    """Notes as the table keeps them; of very many the first."""
    told = [
        clean(note) if len(note) <= NOTE_CHARACTERS else f"{clean(note[:NOTE_CHARACTERS])}…" for note in notes[:NOTES]
    ]
    if len(notes) > NOTES:
        told.append(f"There are {len(notes) - NOTES:,} more.")
    return seal(file.key, orjson.dumps(told), notes_place(file.store_id, file.file_id, file.organization_id))


def _unlike(file: FileWork, embedder: Embedder) -> str | None:
    """What the model gives where it is not the one that the store was made with."""
    if file.dimensions != embedder.dimensions:
        return f"vectors of {embedder.dimensions} numbers, this store has {file.dimensions}"
    if file.probe is not None and not is_same(file.probe, probe(embedder)):
        return "other vectors than this store was made with"
    return None
