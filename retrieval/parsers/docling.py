"""PDFs and pictures as docling reads them: by layout, with their tables, and by OCR where there is no text.

Only where `ingest.docling` names an environment in which docling is installed; `retrieval.docling_reader` runs there,
beside the next file too, because its models take seconds to load. The other PDFs are `retrieval.parsers.pdf`'s.
"""

import functools
import logging
import os
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from configs.errors import ConfigurationError
from configs.frames import exchanged, framed
from configs.processes import Child, Command
from retrieval import docling_reader
from retrieval.documents import TOO_MUCH, Document, Piece, Unreadable, invalid, joined, row
from retrieval.format import Format, Source
from retrieval.parsers import pdf

log = logging.getLogger(__name__)

NAME = "docling"
PICTURES = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"II*\0": ".tiff",
    b"MM\0*": ".tiff",
    b"RIFF": ".webp",
    b"BM": ".bmp",
}
WEBP, WEBP_AT = b"WEBP", 8
BMP_HEADER = (12, 40, 52, 56, 64, 108, 124)
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
START_S = 60.0
ABSENT = (
    "The server is set up to read this with docling, which does not run there. Whoever operates it installs it in the "
    "environment that `ingest.docling.python` names, or takes `ingest.docling` away."
)
MODELS = (
    "The server is set up to read this with docling, whose models cannot be loaded there. Whoever operates it puts "
    "them into the folder `ingest.docling.artifacts_path` with `docling-tools models download -o FOLDER`."
)
BROKEN = "The file is broken, or no PDF and no picture. Open it in its program and save it again."


def create() -> Format:
    """By content, and before any other format, where docling is set up."""
    suffixes = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
    return Format(
        suffixes, parse, recognises, certain=True, resembles=pdf.resembles,
        ready=lambda limits: limits.docling is not None,
    )  # fmt: skip


def recognises(data: bytes) -> bool:
    """Whether it begins like a PDF or a picture."""
    return _suffix(data) is not None


def parse(source: Source) -> Document:
    """What docling finds. A PDF that is locked, broken or too long is refused before docling sees it."""
    setting, suffix = source.limits.docling, _suffix(source.data) or pdf.SUFFIX
    assert setting is not None
    title = ""
    if suffix == pdf.SUFFIX:
        with pdf.opened(source) as file:
            title = pdf.title(file)
    question = asdict(setting) | {"filename": f"file{suffix}", "pages": source.limits.pages, "bytes": len(source.data)}
    answer = program(setting.python).ask(question, source.data, source.limits.wall_s)
    if "error" in answer:
        raise _refusal(answer["error"])
    return joined([_piece(each) for each in answer["pieces"]], source.limits, title, answer["notes"])


class Program:
    """One process in docling's environment; a file that ends it costs only itself."""

    def __init__(self, python: str) -> None:
        self._python = python
        self._child: Child | None = None
        self._line: socket.socket | None = None

    def ask(self, question: dict[str, Any], data: bytes, wall_s: float) -> dict[str, Any]:
        """Its answer.

        Raises:
            Unreadable: the file ended it or took too long, or it cannot be started.
        """
        line = self._started()
        try:
            return exchanged(line, framed(question), data, time.monotonic() + wall_s)
        except (OSError, EOFError) as error:
            self.close()
            raise invalid(TOO_MUCH) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self._line is not None:
            self._line.close()
        child, self._line, self._child = self._child, None, None
        if child is not None:
            child.terminate(0)

    def _started(self) -> socket.socket:
        if self._line is not None and self._child is not None and self._child.alive():
            return self._line
        self.close()
        here = Path.cwd()
        self._line, theirs = socket.socketpair()
        argv = (self._python, "-I", docling_reader.__file__, str(theirs.fileno()))
        with theirs:
            try:
                command = Command(NAME, argv, here, {**os.environ, **OFFLINE}, here / f"{NAME}.log")
                self._child = command.spawn([theirs.fileno()])
            except ConfigurationError as error:
                self.close()
                log.error("docling cannot be started: %s", error)  # noqa: TRY400  the message says it all
                raise Unreadable("server_error", ABSENT) from error
        try:
            exchanged(self._line, framed({"bytes": 0}), b"", time.monotonic() + START_S)
        except (OSError, EOFError) as error:
            self.close()
            log.error("docling's interpreter ended: see %s", here / f"{NAME}.log")  # noqa: TRY400  its own log has the rest
            raise Unreadable("server_error", ABSENT) from error
        return self._line


@functools.cache
def program(python: str) -> Program:
    """The one of this process."""
    return Program(python)


def _suffix(data: bytes) -> str | None:
    """The suffix by which docling knows what the file is; None: neither a PDF nor a picture."""
    if pdf.recognises(data):
        return pdf.SUFFIX
    found = next((suffix for magic, suffix in PICTURES.items() if data.startswith(magic)), None)
    if (found == ".webp" and data[WEBP_AT : WEBP_AT + len(WEBP)] != WEBP) or (found == ".bmp" and not _bitmap(data)):
        return None
    return found


def _bitmap(data: bytes) -> bool:
    """Two letters are too few to tell: the length of the header must be one that there is."""
    return int.from_bytes(data[14:18], "little") in BMP_HEADER


def _piece(said: dict[str, Any]) -> Piece:
    text = "\n".join(row(cells) for cells in said["rows"]) if "rows" in said else said["text"]
    return Piece(text, said["kind"], said.get("level", 0), said["page"])


def _refusal(error: str) -> Unreadable:
    if error in ("absent", "models"):
        log.error("docling cannot read files (%s): see %s", error, Path.cwd() / f"{NAME}.log")
        return Unreadable("server_error", ABSENT if error == "absent" else MODELS)
    return invalid(TOO_MUCH if error == "memory" else BROKEN)
