"""Ingest of mixed documents into a real database, and what of its CPU is not the embedder's.

Everything but Ray: claims, blobs, the child that reads, cutting, embedding, sealing, writing. The other leg is the
library at its best, with the same windows: `SentenceTransformer.encode`, sorted by length, `batch_size=64`. One thread.
"""

import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from api.control.ingest_group import Desk, GroupWork
from api.db import ingest as queue
from api.db import models, schema
from api.db.session import JOBS_ROLE, Database
from api.db.tables import Chunk, File, VectorStore, VectorStoreFile
from api.files.blobs import Blobs, new_blob_id
from api.files.library import name_place
from api.scope import INSTALLATION
from api.storage.target import Folder
from api.vault.keys import DataKey, owner_of_caller
from api.vault.vault import Vault
from bench.options import Options
from bench.report import Report, Table, number
from bench.stacks import open_folder
from configs.datadir import Layout
from configs.ingest_specs import IngestSpec
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from configs.seal import seal
from configs.specs import Kind, ModelParams, ModelSpec
from models.embedding.protocol import Tokens, Vectors
from models.embedding.sentence_transformers import SentenceTransformersEmbedder, create
from retrieval.evaluation.corpus import Source, sources
from retrieval.evaluation.files import as_file
from retrieval.feed import about_place, attributes_place
from serving.ingest.protocol import Batch, Group
from serving.ingest.protocol import Source as Contents
from serving.ingest.work import work

MODEL = ModelSpec(
    model_name="minilm",
    kind=Kind.EMBEDDING,
    params=ModelParams(model="sentence_transformers/all-MiniLM-L6-v2"),
    engine={"threads": 1},
)
STORE = "vs_bench"
ORGANIZATION = INSTALLATION.organization_id
CHARACTERS = 3000
"""Of a document; the texts of installed packages are cut into pieces of that."""


class Counted:
    """An embedder that notes what it encodes, and the CPU of that."""

    def __init__(self, inner: SentenceTransformersEmbedder) -> None:
        self._inner = inner
        self.cpu_s = 0.0
        self.inputs: list[Tokens] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  the rest is the embedder's own
        return getattr(self._inner, name)

    def encode(self, inputs: Sequence[Tokens]) -> Vectors:
        """As the embedder does."""
        start_s = time.process_time()
        found = self._inner.encode(inputs)
        self.cpu_s += time.process_time() - start_s
        self.inputs += inputs
        return found


@dataclass
class Here:
    """A runner in a thread of this process."""

    embedder: Counted

    async def run(self, group: Group, source: Contents) -> AsyncGenerator[Batch, None]:
        """See `serving.ingest.protocol.Runner`."""
        steps = work(group, source, self.embedder)
        while (batch := await asyncio.to_thread(next, steps, None)) is not None:
            yield batch

    async def rest(self) -> None:
        """Nothing is kept."""


def run(options: Options) -> Report:
    """Both legs once, one after the other: what counts is CPU, which drifts little."""
    embedder = create(MODEL)
    assert isinstance(embedder, SentenceTransformersEmbedder)
    embedder.warm_up()
    counted, count = Counted(embedder), options.pick(1000, 40)
    with open_folder() as folder, tempfile.TemporaryDirectory(prefix="mt-bench-") as files:
        layout = Layout(folder / "data")
        with layout.hold(command="bench"), EmbeddedPostgres(layout) as server:
            schema.upgrade(server.urls.owner_url)
            with asyncio.Runner() as runner:
                found = runner.run(_ingested(server, Path(files), counted, count))
    raw_cpu_s = library_cpu_s(embedder, counted.inputs)
    return report(found, counted, raw_cpu_s, count)


def documents(count: int) -> Iterator[tuple[str, bytes]]:
    """Markdown, HTML, Word and PDF in turn, of text that is on this machine."""
    number = 0
    for each in sources():
        for start in range(0, len(each.text), CHARACTERS):
            if piece := each.text[start : start + CHARACTERS].strip():
                yield as_file(Source(f"{each.package}-{number}", piece))
                number += 1
                if number == count:
                    return


def library_cpu_s(embedder: SentenceTransformersEmbedder, inputs: Sequence[Tokens]) -> float:
    """CPU seconds of the library for the same windows."""
    texts = [embedder._tokenizer.decode(list(ids), skip_special_tokens=True) for ids in inputs]
    start_s = time.process_time()
    embedder._model.encode(texts, batch_size=64, show_progress_bar=False)
    return time.process_time() - start_s


async def _ingested(server: EmbeddedPostgres, place: Path, embedder: Counted, count: int) -> dict[str, Any]:
    database = Database(server.urls.app_url)
    jobs = Database(server.urls.jobs_url, role=JOBS_ROLE, deadline_s=None)
    vault = Vault(Keyring.make(place / "master_keys"))
    async with database.unit() as unit:
        await models.add(unit, MODEL)
    await _fill(database, vault, place / "files", count)
    desk = Desk(jobs, vault, str(place / "files"), Here(embedder), IngestSpec())
    before, own, begun = _server_cpu_s(server), time.process_time(), time.perf_counter()
    reading = _children_cpu_s()
    while True:
        async with jobs.unit() as unit:
            claims = await queue.claim(unit)
        if not claims:
            break
        await GroupWork(desk, claims).run()
    wall_s, own_s, server_s = time.perf_counter() - begun, time.process_time() - own, _server_cpu_s(server) - before
    reading_s = _children_cpu_s() - reading
    async with jobs.unit() as unit:
        chunks = await unit.scalar(select(func.count()).select_from(Chunk))
        failed = await unit.scalar(
            select(func.count()).select_from(VectorStoreFile).where(VectorStoreFile.status != "completed")
        )
    await jobs.close()
    await database.close()
    return {
        "chunks": chunks, "failed": failed, "wall_s": wall_s, "own_cpu_s": own_s, "server_cpu_s": server_s,
        "reading_cpu_s": reading_s,
    }  # fmt: skip


async def _fill(database: Database, vault: Vault, place: Path, count: int) -> None:
    """A store, and its files that wait."""
    async with database.unit(INSTALLATION) as unit:
        key = await vault.key_for(unit, owner_of_caller(INSTALLATION))
        about = seal(key.key, b"{}", about_place(STORE, ORGANIZATION))
        unit.add(
            VectorStore(
                id=STORE, organization_id=ORGANIZATION, data_key_id=key.id, embedding_model=MODEL.model_name,
                about=about, dimensions=384,
            )
        )  # fmt: skip
    blobs, waiting = Blobs(Folder(place)), documents(count)
    while group := list(islice(waiting, 100)):
        rows = [await _stored(blobs, key, name, content) for name, content in group]
        async with database.unit(INSTALLATION) as unit:
            unit.add_all(rows)
            await unit.flush()
            unit.add_all([_entry(key, row.id) for row in rows])


async def _stored(blobs: Blobs, key: DataKey, name: str, content: bytes) -> File:
    file_id, blob = f"file-{name}", new_blob_id(time.time())
    writing = blobs.begin(key, blob)
    await writing.add(content)
    written = await writing.finish()
    return File(
        id=file_id, organization_id=ORGANIZATION, data_key_id=key.id, purpose="assistants", size=written.size,
        name=seal(key.key, name.encode(), name_place(file_id, ORGANIZATION)), digest=written.address, blob=blob,
    )  # fmt: skip


def _entry(key: DataKey, file_id: str) -> VectorStoreFile:
    attributes = seal(key.key, b"{}", attributes_place(STORE, file_id, ORGANIZATION))
    return VectorStoreFile(
        vector_store_id=STORE, file_id=file_id, organization_id=ORGANIZATION, attributes=attributes,
        max_tokens=800, overlap_tokens=400,
    )  # fmt: skip


def _server_cpu_s(server: EmbeddedPostgres) -> float:
    assert server.child is not None
    main = psutil.Process(server.child.pid)
    ended = main.cpu_times()
    return sum(sum(each.cpu_times()[:2]) for each in (main, *main.children())) + sum(ended[2:4])


def _children_cpu_s() -> float:
    """Of the child that reads, while it lives, and of those that ended."""
    living = [each for each in psutil.Process().children() if "retrieval.reader" in " ".join(each.cmdline())]
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(sum(each.cpu_times()[:2]) for each in living) + ended.ru_utime + ended.ru_stime


def report(found: dict[str, Any], embedder: Counted, raw_cpu_s: float, count: int) -> Report:
    """Ratios with what is to be reached."""
    chunks, encode_s = found["chunks"], embedder.cpu_s
    other_s = found["own_cpu_s"] - encode_s + found["server_cpu_s"]
    rows = [
        ["embedder's CPU per chunk / raw `encode`", f"{encode_s / raw_cpu_s:.2f}", "<= 1.08"],
        ["all other CPU, parsing apart / embedder's", f"{other_s / encode_s:.3f}", "<= 0.15"],
    ]
    per_chunk = {
        "embedder": encode_s, "raw encode": raw_cpu_s, "PostgreSQL": found["server_cpu_s"],
        "cutting, sealing, writing": found["own_cpu_s"] - encode_s, "reading, in the child": found["reading_cpu_s"],
    }  # fmt: skip
    lengths = [len(each) for each in embedder.inputs]
    notes = [
        "CPU ms per chunk: " + ", ".join(f"{name} {1000 * cpu / chunks:.2f}" for name, cpu in per_chunk.items()) + ".",
        f"{chunks} chunks in {len(lengths)} windows of {number(statistics.mean(lengths))} tokens; "
        f"{number(found['wall_s'])} s; {found['failed']} files failed.",
    ]
    title = f"Ingest: {count} documents (Markdown, HTML, Word, PDF) into a store"
    data = found | {"encode_cpu_s": encode_s, "raw_cpu_s": raw_cpu_s, "windows": len(lengths)}
    return Report("ingest", title, [Table(["what", "found", "reach"], rows)], notes, data, failed=bool(found["failed"]))
