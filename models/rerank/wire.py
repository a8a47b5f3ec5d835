"""`/v1/rerank` as Jina and vLLM have it, as pure functions. It knows no model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from configs.errors import BadRequest, UnsupportedParameter
from models.rerank.protocol import RerankRequest, Scores

MAX_DOCUMENTS = 2048
FIELDS = {"model", "query", "documents", "top_n", "return_documents", "user"}


def parse(body: Mapping[str, Any]) -> RerankRequest:
    """The request in a JSON object.

    Raises:
        BadRequest: a field is missing, of the wrong type or out of range; `param` names it.
        UnsupportedParameter: a field that is not known.
    """
    for name in body:
        if name not in FIELDS:
            raise UnsupportedParameter(f"Unknown field {name[:64]!r}.", param=name[:64])
    returned = body.get("return_documents", True)
    if not isinstance(returned, bool):
        raise BadRequest("'return_documents' must be true or false.", param="return_documents")
    return RerankRequest(_text(body.get("query"), "query"), _documents(body.get("documents")), _top(body), returned)


def render(request: RerankRequest, scores: Scores, prompt_tokens: int, *, model_name: str, request_id: str) -> bytes:
    """The response body, best first; of equal scores the earlier document comes first."""
    order = np.argsort(-scores, kind="stable")[: request.top_n].tolist()
    results: list[dict[str, Any]] = [{"index": index, "relevance_score": float(scores[index])} for index in order]
    if request.return_documents:
        for result in results:
            result["document"] = {"text": request.documents[result["index"]]}
    usage = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
    return orjson.dumps({"id": request_id, "model": model_name, "usage": usage, "results": results})


def _documents(value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DOCUMENTS:
        raise BadRequest(f"'documents' must be a list of 1 to {MAX_DOCUMENTS} texts.", param="documents")
    return [_text(each.get("text") if isinstance(each, dict) else each, "documents") for each in value]


def _top(body: Mapping[str, Any]) -> int | None:
    value = body.get("top_n")
    if value is not None and (type(value) is not int or value < 1):
        raise BadRequest("'top_n' must be an integer of at least 1.", param="top_n")
    return value


def _text(value: object, param: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{param!r} must hold text that is not empty.", param=param)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{param!r} holds no valid Unicode text.", param=param) from None
    return value
