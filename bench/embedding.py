"""64 clients with one text each against `SentenceTransformer.encode` of all texts, in one process.

Run as: python -m bench.embedding [--texts 512] [--clients 64] [--pairs 5] [--threads 2]

The clients' leg is all that stands below HTTP: body to request, tokenising, queue, model, response bytes. The other leg
is the library at its best: all texts in one call, sorted by length, `batch_size=64`.
"""

import argparse
import asyncio
import random
import statistics

import orjson
import torch

from bench.ratios import interleaved, measure, median_with_interval
from configs.specs import Kind, ModelParams, ModelSpec
from models.embedding import wire
from models.embedding.sentence_transformers import SentenceTransformersEmbedder, create
from models.embedding.service import EmbeddingService

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in (("texts", 512), ("clients", 64), ("pairs", 5), ("threads", torch.get_num_threads())):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    spec = ModelSpec(
        model_name="m", kind=Kind.EMBEDDING, params=ModelParams(model=MODEL), engine={"threads": asked.threads}
    )
    embedder = create(spec)
    assert isinstance(embedder, SentenceTransformersEmbedder)
    embedder.warm_up()
    service = EmbeddingService(embedder)
    compare(service, embedder, asked)
    service.close()


def compare(service: EmbeddingService, embedder: SentenceTransformersEmbedder, asked: argparse.Namespace) -> None:
    texts = texts_of_mixed_length(embedder, asked.texts)
    bodies = [orjson.dumps({"model": "m", "input": text, "encoding_format": "base64"}) for text in texts]

    def library() -> None:
        embedder._model.encode(texts, batch_size=64, show_progress_bar=False)

    def served() -> None:
        asyncio.run(ask_all(service, bodies, asked.clients))

    for leg in (library, served):
        measure(leg)
    stats = service.stats
    before = (stats.batches, stats.items, stats.size, stats.padded_size, stats.idle_with_work_s, stats.wait_s)
    costs = interleaved(library, served, asked.pairs)
    batches, items, size, padded, idle_s, wait_s = (
        now - then
        for now, then in zip(
            (stats.batches, stats.items, stats.size, stats.padded_size, stats.idle_with_work_s, stats.wait_s),
            before,
            strict=True,
        )
    )
    for name, ratios, reach in (
        ("CPU per text, served / encode", [b.cpu_s / a.cpu_s for a, b in costs], "<= 1.08"),
        ("texts per second, served / encode", [a.wall_s / b.wall_s for a, b in costs], ">= 0.70"),
    ):
        middle, low, high = median_with_interval(ratios)
        print(f"{name:36s} {middle:.3f}  [{low:.3f}, {high:.3f}]  reach {reach}")
    ms = [1000 * statistics.median(cost.cpu_s for cost in side) / asked.texts for side in zip(*costs, strict=True)]
    served_s = sum(b.wall_s for _, b in costs)
    print(f"CPU ms per text: encode {ms[0]:.2f}, served {ms[1]:.2f}; {size / items:.1f} tokens per text")
    print(
        f"{items / batches:.1f} texts per batch, padded/real tokens {padded / size:.3f}, padding worth a pass:", end=" "
    )
    print(f"{embedder.padding_tokens} tokens; mean queue wait {1000 * wait_s / items:.0f} ms")
    print(f"idle while texts waited: {100 * idle_s / served_s:.2f} % of the served legs")


if __name__ == "__main__":
    main()
