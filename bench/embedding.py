"""Embeddings: 64 clients with one text each against `SentenceTransformer.encode` of all texts, in one process.

The clients' leg is all that stands below HTTP: body to request, tokenising, queue, model, response bytes. The other leg
is the library at its best: all texts in one call, sorted by length, `batch_size=64`.
"""

import asyncio
import dataclasses
import random
import statistics

import orjson

from bench.options import Options
from bench.ratios import Cost, interleaved, measure, median_with_interval
from bench.report import Report, Table, interval
from configs.batching import BatchStats
from configs.specs import Kind, ModelParams, ModelSpec
from models.embedding import wire
from models.embedding.sentence_transformers import SentenceTransformersEmbedder, create
from models.embedding.service import EmbeddingService

CLIENTS = 64
MODEL = "sentence_transformers/all-MiniLM-L6-v2"


def texts_of_mixed_length(embedder: SentenceTransformersEmbedder, count: int) -> list[str]:
    """Log-normal lengths: a median of 18 words, one in ten above 50, at most 150."""
    choose = random.Random(1)
    words = sorted(word for word in embedder._tokenizer.get_vocab() if word.isalpha() and len(word) > 2)
    lengths = (max(1, min(150, int(choose.lognormvariate(2.9, 0.8)))) for _ in range(count))
    return [" ".join(choose.choices(words, k=length)) for length in lengths]


async def ask_all(service: EmbeddingService, bodies: list[bytes], clients: int) -> None:
    """Each client sends its next text when the last one is answered."""
    waiting = iter(bodies)

    async def client() -> None:
        for body in waiting:
            request = wire.parse(orjson.loads(body))
            wire.render(await service.embed(request), "m", base64=request.base64)

    await asyncio.gather(*(client() for _ in range(clients)))


def run(options: Options) -> Report:
    """Both legs in pairs, A B B A, in this process."""
    spec = ModelSpec(model_name="m", kind=Kind.EMBEDDING, params=ModelParams(model=MODEL))
    embedder = create(spec)
    assert isinstance(embedder, SentenceTransformersEmbedder)
    embedder.warm_up()
    service = EmbeddingService(embedder)
    found = compare(service, embedder, options.pick(512, 128), options.pick(5, 2))
    service.close()
    return found


def compare(service: EmbeddingService, embedder: SentenceTransformersEmbedder, count: int, pairs: int) -> Report:
    """Measure, and tell what the batcher did meanwhile."""
    texts = texts_of_mixed_length(embedder, count)
    bodies = [orjson.dumps({"model": "m", "input": text, "encoding_format": "base64"}) for text in texts]

    def library() -> None:
        embedder._model.encode(texts, batch_size=64, show_progress_bar=False)

    def served() -> None:
        asyncio.run(ask_all(service, bodies, CLIENTS))

    for leg in (library, served):
        measure(leg)
    before = dataclasses.replace(service.stats)
    costs = interleaved(library, served, pairs)
    return report(costs, before, service.stats, count)


def report(costs: list[tuple[Cost, Cost]], before: BatchStats, after: BatchStats, count: int) -> Report:
    """Ratios with what is to be reached, and the batcher's figures."""
    ratios = (
        ("CPU per text, served / encode", [b.cpu_s / a.cpu_s for a, b in costs], "<= 1.08"),
        ("texts per second, served / encode", [a.wall_s / b.wall_s for a, b in costs], ">= 0.70"),
    )
    rows = [[name, interval(median_with_interval(values)), reach] for name, values, reach in ratios]
    encode_ms, served_ms = (
        1000 * statistics.median(cost.cpu_s for cost in side) / count for side in zip(*costs, strict=True)
    )
    items, size = after.items - before.items, after.size - before.size
    idle_share = (after.idle_with_work_s - before.idle_with_work_s) / sum(b.wall_s for _, b in costs)
    notes = [
        f"CPU ms per text: encode {encode_ms:.2f}, served {served_ms:.2f}; {size / items:.1f} tokens per text.",
        f"{items / (after.batches - before.batches):.1f} texts per batch, padded/real tokens "
        f"{(after.padded_size - before.padded_size) / size:.3f}, mean wait in the queue "
        f"{1000 * (after.wait_s - before.wait_s) / items:.0f} ms.",
        f"The model idled while texts waited for {100 * idle_share:.2f} % of the served legs (reach 0).",
    ]
    title = f"Embeddings: {CLIENTS} clients with one text each / `encode` of all {count} texts, sorted"
    data = {"pairs": [[dataclasses.asdict(cost) for cost in pair] for pair in costs]}
    return Report("embedding", title, [Table(["what", "median [95 %]", "reach"], rows)], notes, data)
