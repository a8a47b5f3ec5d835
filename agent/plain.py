"""Texts of documents made harmless for a prompt: data that cannot be taken for the prompt's own marks.

A zero-width joiner after the first character of a mark keeps it readable and makes it mere letters, for a model and
for its tokenizer. The tokens of one tokenizer are `models.chat.special_tokens`'; here stand the spellings that chat
templates have in common.
"""

import re

JOINER = "\u200d"
LONGEST_LABEL = 200
MARKS = re.compile(
    r"<\|[^<>|\n]{1,64}\|>|<｜[^<>｜\n]{1,64}｜>|</?s>|<</?SYS>>|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]"
    r"|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>|</?(?:tool_call|tool_response|tools|think)>",
    re.I,
)


def plain(text: str, fence: str) -> str:
    """`text` in which neither the fence nor a mark of a chat template is spelled out."""
    marks = re.compile(f"{re.escape(fence)}|{MARKS.pattern}", re.I)
    while marks.search(text):
        text = marks.sub(lambda found: found[0][0] + JOINER + found[0][1:], text)
    return text


def label(text: str, fence: str, longest: int = LONGEST_LABEL) -> str:
    """A name or heading for an attribute of a tag: one line, no quotes, no angle brackets, not endless."""
    line = " ".join("".join(" " if char in '<>"' or not char.isprintable() else char for char in text).split())
    return plain(line if len(line) <= longest else line[: longest - 1] + "…", fence)
