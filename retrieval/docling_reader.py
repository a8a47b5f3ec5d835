"""docling in an interpreter of its own: `PYTHON -I docling_reader.py FD`.

`retrieval.parsers.docling` is the other side. This one needs docling and the standard library, and nothing of Manta:
docling's environment cannot be ours (docs/decisions/0020). A question on the socket FD is a frame of JSON
(`configs.frames`), then the file's bytes.
"""

import ctypes
import functools
import io
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

log = logging.getLogger("docling_reader")

HEAD_BYTES = 4
PR_SET_PDEATHSIG = 1
HEADINGS = {"title": 1, "section_header": 2}
MARKED = "list_item"
CODE = ("code", "formula")


def main() -> None:
    """Answer until the other side closes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a file that takes hours must not outlive its reader
    with socket.socket(fileno=int(sys.argv[1])) as end:
        stream: Any = end.makefile("rwb")
    while len(head := stream.read(HEAD_BYTES)) == HEAD_BYTES:
        question = json.loads(stream.read(int.from_bytes(head, "big")))
        body = json.dumps(answer(stream.read(question["bytes"]), question)).encode()
        stream.write(len(body).to_bytes(HEAD_BYTES, "big") + body)
        stream.flush()


def answer(data: bytes, question: dict[str, Any]) -> dict[str, Any]:
    """`pieces` and `notes`, or an `error`: absent, models, memory or broken. A question without a file gets nothing."""
    if not data:
        return {}
    allow(question["memory_bytes"], question["cpu_s"])
    error = "models"
    try:
        made = converter(question["artifacts_path"], question["ocr"], question["ocr_language"])
        error = "broken"
        return converted(made, data, question)
    except MemoryError:
        error = "memory"
    except ImportError:
        log.exception("docling is not installed here, or not whole")
        error = "absent"
    except Exception:
        log.exception("a file of %d bytes could not be read: %s", len(data), error)
    return {"error": error}


def allow(memory_bytes: int, cpu_s: int) -> None:
    """Give this process that much memory, and that much more CPU time; the kernel ends it then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    for which, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + cpu_s),
    ):
        resource.setrlimit(which, (most, resource.getrlimit(which)[1]))


@functools.lru_cache(maxsize=1)
def converter(artifacts_path: str, ocr: bool, ocr_language: str | None) -> Any:
    """docling's converter for PDFs and pictures, on the CPU, with its models loaded.

    Raises:
        ImportError: docling is not installed here.
        Exception: a model is missing.
    """
    from docling.datamodel.accelerator_options import AcceleratorOptions
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import PdfPipelineOptions, RapidOcrOptions
    from docling.document_converter import DocumentConverter, ImageFormatOption, PdfFormatOption

    options = PdfPipelineOptions(
        artifacts_path=artifacts_path,
        do_ocr=ocr,
        ocr_options=RapidOcrOptions(lang=[ocr_language]) if ocr_language else RapidOcrOptions(),
        do_table_structure=True,
        accelerator_options=AcceleratorOptions(num_threads=len(os.sched_getaffinity(0)), device="cpu"),
    )
    chosen = {
        InputFormat.PDF: PdfFormatOption(pipeline_options=options),
        InputFormat.IMAGE: ImageFormatOption(pipeline_options=options),
    }
    made = DocumentConverter(allowed_formats=list(chosen), format_options=chosen)
    made.initialize_pipeline(InputFormat.PDF)
    return made


def converted(made: Any, data: bytes, question: dict[str, Any]) -> dict[str, Any]:
    """What docling finds in a file."""
    from docling.datamodel.base_models import ConversionStatus, DocumentStream

    stream = DocumentStream(name=question["filename"], stream=io.BytesIO(data))
    result = made.convert(stream, raises_on_error=False, max_num_pages=question["pages"])
    if result.status not in (ConversionStatus.SUCCESS, ConversionStatus.PARTIAL_SUCCESS):
        log.error("docling: %s", [each.error_message for each in result.errors])
        return {"error": "broken"}
    lost = sorted({each.page_no for each in result.errors if each.page_no is not None})
    return {"pieces": list(pieces(result.document)), "notes": [f"Page {number} could not be read." for number in lost]}


def pieces(document: Any) -> Iterator[dict[str, Any]]:
    """Its items in reading order as the fields of `retrieval.documents.Piece`; a table has `rows` instead of `text`."""
    for item, _ in document.iterate_items(traverse_pictures=True):
        label = str(item.label.value)
        page = item.prov[0].page_no if item.prov else None
        grid = getattr(getattr(item, "data", None), "grid", None)
        text = getattr(item, "text", "") or getattr(item, "orig", "")
        if grid:
            yield {"kind": "table", "rows": rows(grid), "page": page}
        elif label in HEADINGS:
            level = HEADINGS[label] + getattr(item, "level", 1) - 1
            yield {"kind": "heading", "text": " ".join(text.split()), "level": level, "page": page}
        elif label == MARKED:
            yield {"kind": "text", "text": f"{getattr(item, 'marker', '') or '-'} {text}", "page": page}
        elif text:
            yield {"kind": "code" if label in CODE else "text", "text": text, "page": page}


def rows(grid: Any) -> list[list[str]]:
    """A table's cells; one that spans several stands where it begins."""
    return [
        [
            cell.text if (cell.start_row_offset_idx, cell.start_col_offset_idx) == (down, right) else ""
            for right, cell in enumerate(line)
        ]
        for down, line in enumerate(grid)
    ]


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
    os._exit(0)  # native threads need no farewell
