"""The model card of `starter`: what it is and what it is not, with the numbers of the run that made it."""

from transformers import LlamaForCausalLM

from finetune.starter.training import Progress

TEXT = """---
license: apache-2.0
language: en
pipeline_tag: text-generation
---

# starter

The chat model that comes with Manta, so that everything can be tried without a network and without a GPU.

## What it is

A decoder of Llama's architecture with {parameters:.2f} million parameters, a vocabulary of {vocabulary} byte-level BPE
tokens and a window of {window} tokens. It was trained from scratch by `python -m finetune.starter` on text that the
YAML files in `finetune/starter/` generate: greetings, questions about Manta, and calls of tools. It saw no other text.

It answers greetings and simple questions about Manta in English, says so when it does not know, and calls a tool in the
hermes form (`<tool_call>{{"name": ..., "arguments": ...}}</tool_call>`) when the question fits one that it was taught.
The tool and its fields are right then; the values that it puts there are mostly not those of the question.

## What it is not

It knows nothing of the world, cannot reason, calculate, translate or write code, and is easily led to say something
wrong. Its answers about Manta are those of the day it was made. Use it to try the platform, its clients and its tools;
for work, add a real model: `manta models add Qwen/Qwen3-0.6B`.

## How it was made

| | |
|---|---|
| steps | {step} |
| tokens per second | {tokens_per_s:,.0f} |
| loss at the end, nats per token that it learns to write | {loss:.3f} |
| weights | safetensors, bfloat16 |
"""


def text(model: LlamaForCausalLM, last: Progress | None) -> str:
    """The card, as Markdown with Hugging Face's header; `last` is where training ended."""
    last = last or Progress(0, 0.0, float("nan"), 0.0)
    return TEXT.format(
        parameters=sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        vocabulary=model.config.vocab_size,
        window=model.config.max_position_embeddings,
        step=last.step,
        loss=last.loss,
        tokens_per_s=last.tokens_per_s,
    )
