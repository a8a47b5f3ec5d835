"""OpenAI's `/v1/embeddings`, as pure functions: a parsed body to an `EmbeddingRequest`, a result to response bytes.

It knows no model: what depends on one (window, vocabulary, dimensions) is checked by `models.embedding.service`.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from configs.errors import BadRequest, UnsupportedParameter
from models.embedding.protocol import EmbeddingRequest, EmbeddingResult, InputType

MAX_INPUTS = 2048
FIELDS = {"model", "input", "encoding_format", "dimensions", "user", "truncate_prompt_tokens", "input_type"}
"""OpenAI's fields, vLLM's `truncate_prompt_tokens`, and `input_type` as other embedding services have it."""


def parse(body: Mapping[str, Any]) -> EmbeddingRequest:
    """The request in a JSON object.

    Raises:
        BadRequest: a field is missing, of the wrong type or out of range; `param` names it.
        UnsupportedParameter: a field that is not known.
    """
    for name in body:
        if name not in FIELDS:
            raise UnsupportedParameter(f"Unknown field {name[:64]!r}.", param=name[:64])
    _text(body, "user")
    return EmbeddingRequest(
        inputs=_inputs(body.get("input")),
        dimensions=_integer(body, "dimensions", low=1),
        truncate_prompt_tokens=_integer(body, "truncate_prompt_tokens", low=-1),
        input_type=_input_type(body),
        base64=_is_base64(body),
    )


def render(result: EmbeddingResult, model_name: str, *, base64: bool) -> bytes:
    """The response body: numbers in the shortest form that reads back as the same float32, or base64 of the bytes."""
    rows: list[Any] = list(result.vectors)
    if base64:
        rows = [b64encode(row.astype("<f4", copy=False).tobytes()).decode("ascii") for row in rows]
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    usage = {"prompt_tokens": result.prompt_tokens, "total_tokens": result.prompt_tokens}
    body = {"object": "list", "data": data, "model": model_name, "usage": usage}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _inputs(value: object) -> list[str] | list[list[int]]:
    if isinstance(value, str):
        return [_checked_text(0, value)]
    if not isinstance(value, list) or not value:
        raise _wrong("'input' must be a text, a list of texts, a list of token ids, or a list of such lists.")
    if type(value[0]) is int:
        return [_checked_tokens(0, value)]
    if len(value) > MAX_INPUTS:
        raise _wrong(f"'input' has {len(value)} entries; at most {MAX_INPUTS} are taken.")
    if isinstance(value[0], str):
        return [_checked_text(index, text) for index, text in enumerate(value)]
    return [_checked_tokens(index, tokens) for index, tokens in enumerate(value)]


def _checked_text(index: int, text: object) -> str:
    if not isinstance(text, str):
        raise _wrong(f"Input {index} is no text, but the first one is; texts and token lists do not mix.")
    if not text:
        raise _wrong(f"Input {index} is empty.")
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise _wrong(f"Input {index} is no valid Unicode text.") from None
    return text


def _checked_tokens(index: int, tokens: object) -> list[int]:
    if not isinstance(tokens, list) or not tokens:
        raise _wrong(f"Input {index} must be a text or a list of at least one token id.")
    if not all(type(token) is int for token in tokens):
        raise _wrong(f"Input {index} holds something that is no token id.")
    return tokens


def _integer(body: Mapping[str, Any], name: str, *, low: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or value < low:
        raise BadRequest(f"{name!r} must be an integer of at least {low}.", param=name)
    return value


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name!r} must be a text.", param=name)
    return value


def _input_type(body: Mapping[str, Any]) -> InputType | None:
    value = _text(body, "input_type")
    if value is None:
        return None
    if value not in list(InputType):
        raise BadRequest("'input_type' must be 'query' or 'document'.", param="input_type")
    return InputType(value)


def _is_base64(body: Mapping[str, Any]) -> bool:
    value = _text(body, "encoding_format")
    if value not in {None, "float", "base64"}:
        raise BadRequest("'encoding_format' must be 'float' or 'base64'.", param="encoding_format")
    return value == "base64"


def _wrong(message: str) -> BadRequest:
    return BadRequest(message, param="input")
