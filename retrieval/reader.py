"""Reads files one after another in a process with limits: `python -m retrieval.reader FD`.

Parsers meet whatever people upload. A file that kills, freezes or fills its reader does so here; `retrieval.reading` is
the other side, and hands it no secret. A question on the socket FD is a frame of JSON, then the file's bytes.
"""

import os
import resource
import socket
import sys
from dataclasses import astuple
from typing import Any, BinaryIO

import orjson

from configs.frames import HEAD_BYTES, framed
from retrieval import formats
from retrieval.documents import TOO_MUCH, Docling, Document, Limits, Unreadable, invalid

LOG_BYTES = 64 * 2**20
"""Of the only file that it may write."""


def main() -> None:
    """Answer until the other side closes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LOG_BYTES, LOG_BYTES))
    formats.formats()  # parsers are loaded before the first limit on memory
    with socket.socket(fileno=int(sys.argv[1])) as end:
        stream: BinaryIO = end.makefile("rwb")  # type: ignore[assignment]  # what "rwb" gives
    while len(head := stream.read(HEAD_BYTES)) == HEAD_BYTES:
        question = orjson.loads(stream.read(int.from_bytes(head, "big")))
        stream.write(
            framed(answer(stream.read(question["bytes"]), question["filename"], limits_of(question["limits"])))
        )
        stream.flush()


def limits_of(said: dict[str, Any]) -> Limits:
    """Limits as JSON said them."""
    docling = said.get("docling")
    return Limits(**said | {"docling": Docling(**docling) if docling is not None else None})


def answer(data: bytes, filename: str, limits: Limits) -> dict[str, Any]:
    """A document, or why there is none."""
    allow(limits)
    try:
        return told(formats.parse(data, filename, limits))
    except Unreadable as refused:
        return {"code": refused.code, "message": refused.message}
    except MemoryError:
        return {"code": invalid(TOO_MUCH).code, "message": TOO_MUCH}


def told(document: Document) -> dict[str, Any]:
    """A document as JSON can say it; `retrieval.reading` undoes it."""
    blocks = [astuple(block) for block in document.blocks]
    return {"title": document.title, "text": document.text, "blocks": blocks, "notes": document.notes}


def allow(limits: Limits) -> None:
    """Give this process that much memory, and that much more CPU time; the kernel ends it then."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, most))
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + limits.cpu_s, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
    os._exit(0)  # native threads need no farewell
