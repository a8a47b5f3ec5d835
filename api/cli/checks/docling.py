"""docling, where `ingest.docling` is set: whether it runs, has its models, and reads a page."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace

from api.cli.checks.finding import Finding, fail, ok
from configs.catalog import Catalog
from retrieval.documents import Docling, Limits, Unreadable
from retrieval.evaluation import files
from retrieval.reading import Reader

PAGE = "A page to try docling with."
FIX = "see docs/documents.md, 'Tables and scans': how it is installed, and where its models come from"


def check(catalog: Catalog) -> Iterator[Finding]:
    """One finding, after its models were loaded, which takes some seconds; none where it is not set up."""
    spec = catalog.configuration.ingest.docling
    if spec is None:
        return
    limits = replace(Limits(), docling=Docling(**spec.model_dump()))
    reader = Reader()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        try:
            reader.read(files.pdf(PAGE), "page.pdf", limits)
        except Unreadable as refused:
            yield fail("docling", refused.message, FIX)
        else:
            yield ok("docling", f"{spec.python} reads a page")
        finally:
            reader.close()
