"""`python -m finetune.starter`: make the model from nothing, and write it with its card."""

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from finetune.starter import card, tokenizer, training
from finetune.starter.conversations import conversations, known
from finetune.starter.dataset import Rows
from finetune.starter.tokenizer import CLOSE, END_OF_TEXT

TOKENIZER_TEXTS = 20_000
SEED = 1


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m finetune.starter", description=__doc__)
    parser.add_argument("--minutes", type=float, default=22, help="how long to train (default: 22)")
    parser.add_argument("--out", type=Path, default=Path("models/starter"), help="the folder to write to")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    _say("text and tokenizer")
    words = make_tokenizer()
    model = training.network(words)
    _say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} million parameters, {arguments.minutes:g} minutes")
    last = None
    for last in training.train(model, Rows(words, SEED), arguments.minutes * 60):
        _say(f"{last.share:4.0%}  step {last.step}  loss {last.loss:.3f}  {last.tokens_per_s:,.0f} tokens/s")
    save(model, words, arguments.out, card.text(model, last))
    _say(f"written to {arguments.out}")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Learn the vocabulary from the same text, control tokens apart."""
    return tokenizer.train(_texts(), training.VOCABULARY)


def save(model: LlamaForCausalLM, words: PreTrainedTokenizerFast, folder: Path, readme: str) -> None:
    """Write safetensors in bfloat16, the tokenizer with its template, and the card."""
    model.generation_config.eos_token_id = words.convert_tokens_to_ids([CLOSE, END_OF_TEXT])
    model.generation_config.pad_token_id = words.pad_token_id
    model.to(torch.bfloat16).save_pretrained(folder)
    words.save_pretrained(folder)
    (folder / "README.md").write_text(readme, "utf-8")


def _texts() -> Iterator[str]:
    yield from (answer for _, answers in known() for answer in answers)
    for conversation in islice(conversations(SEED), TOKENIZER_TEXTS):
        yield from (str(message["content"]) for message in conversation.messages)
        yield from map(json.dumps, conversation.tools)
        yield from (json.dumps(call) for message in conversation.messages for call in message.get("tool_calls", ()))


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)  # noqa: T201  a command


if __name__ == "__main__":
    main()
