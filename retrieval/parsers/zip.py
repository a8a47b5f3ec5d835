"""Archives: each member is read as a file of its own, under a heading with its name."""

from collections.abc import Iterator

from retrieval.container import MAGIC, Container, short
from retrieval.documents import Document, Piece, Unreadable, check_length, clean, invalid, joined
from retrieval.format import Format, Source

NOISE = ("__MACOSX/", ".git/")
DEEPER = 1


def create() -> Format:
    """By its first bytes, after the formats that are ZIP files too."""
    return Format(frozenset({".zip"}), parse, recognises, certain=True)


def recognises(data: bytes) -> bool:
    """Whether it begins like one."""
    return data.startswith(MAGIC) or data.startswith(b"PK\x05\x06")


def parse(source: Source) -> Document:
    """A member that cannot be read is named in the document's notes; the rest goes on.

    Raises:
        Unreadable: it is a bomb, or no member can be read.
    """
    container = Container.open(source)
    notes: list[str] = []
    document = joined(_members(container, source, notes), source.limits, notes=notes)
    if not document.blocks:
        raise invalid(f"Nothing in the archive can be read. {notes[0] if notes else 'It is empty.'}")
    return Document(document.title, document.text, document.blocks, tuple(notes))


def _members(container: Container, source: Source, notes: list[str]) -> Iterator[Piece]:
    characters = 0
    for member in container.members:
        if member.filename.startswith(NOISE) or not member.file_size:
            continue
        name = clean(member.filename)
        told = short(name)
        try:
            inner = source.inner(container.read(member), name)
        except Unreadable as refused:
            notes.append(f"{told}: {refused.message}")
            continue
        characters += len(inner.text)
        check_length(characters, source.limits)
        notes.extend(f"{told}: {note}" for note in inner.notes)
        yield Piece(name, "heading", 1)
        for piece in inner.pieces():
            yield Piece(piece.text, piece.kind, piece.level + DEEPER if piece.level else 0, piece.page)
