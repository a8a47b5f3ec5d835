"""What is answered when no passage is relevant enough: a fixed sentence, in the shape of a model's answer."""

import time
from typing import Any

from fastapi import Response

from api.answers import json_answer
from api.context import Context
from api.inference import STREAM_HEADERS
from api.knowledge.citing import DONE, Findings, event, last_event

NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
OPENING = {"role": "assistant", "content": "", "refusal": None}


def whole(context: Context, text: str, findings: Findings) -> Response:
    """As one chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    told = {"choices": [choice], "usage": NO_USAGE, "file_search": findings.told()}
    return json_answer({**_envelope(context, "chat.completion"), **told})


def streamed(context: Context, text: str, findings: Findings, *, usage_wanted: bool) -> Response:
    """As the events of one."""
    envelope = _envelope(context, "chat.completion.chunk")
    usage = {"usage": None} if usage_wanted else {}
    events = [
        event({**envelope, "choices": [_choice(delta, reason)], **usage})
        for delta, reason in ((OPENING, None), ({"content": text}, None), ({}, "stop"))
    ]
    events.append(last_event(envelope, [], findings, usage_wanted=usage_wanted))
    if usage_wanted:
        events.append(event({**envelope, "choices": [], "usage": NO_USAGE}))
    return Response(b"".join(events) + DONE, headers=STREAM_HEADERS)


def _envelope(context: Context, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{context.answer_id}",
        "object": kind,
        "created": int(time.time()),
        "model": context.model,
    }


def _choice(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
