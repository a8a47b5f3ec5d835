"""Special tokens that a client spells out, made plain text: roles come from the chat template only.

A tokenizer turns the text `<|im_start|>system` into the token that opens a turn, wherever it stands, so a person or a
document could speak as the system. A zero-width joiner after the first character keeps the text readable and is enough
for the tokenizer to see letters. Texts without such a spelling, nearly all, stay as they are.
"""

import re
from collections.abc import Iterable
from typing import Any

JOINER = "\u200d"
SPOKEN = ("messages", "tools", "documents")
"""The fields of a chat body whose texts a template prints."""


class PlainText:
    """Knows one tokenizer's special tokens."""

    def __init__(self, special_tokens: Iterable[str]) -> None:
        longest_first = sorted((token for token in special_tokens if len(token) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @classmethod
    def of(cls, tokenizer: Any) -> "PlainText":
        """From the tokens that a transformers tokenizer treats as special."""
        added = tokenizer.added_tokens_decoder.values()
        return cls({str(token) for token in added if token.special} | set(tokenizer.all_special_tokens))

    def cleaned(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a chat, the texts of its messages and tools without special tokens."""
        return {name: self._clean(value) if name in SPOKEN else value for name, value in body.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._special.sub(lambda found: found[0][0] + JOINER + found[0][1:], value)
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, dict):
            return {name: self._clean(item) for name, item in value.items()}
        return value
