"""Plain streams: engine deltas to SSE bytes, by template.

A plain stream (one choice, no tools, no log-probabilities) is nearly all traffic, and every one of its events differs
only in its text. So the rest is formatted once per request, and an event costs one JSON string. This file knows the
shape of OpenAI's events and of vLLM's outputs, and not how either travels.
"""

import time
from typing import Any

import orjson

from configs.errors import EngineDied, Internal
from models.wire import Reply, Usage

CHAT_ROLE = b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}'
CHAT_EMPTY = b'{"index":0,"delta":{},"logprobs":null,"finish_reason":'
FINISHED_WELL = {"stop", "length"}


class PlainStream:
    """Takes the place of vLLM's output collector: what the engine puts in leaves as bytes at once.

    `engine_id` is vLLM's own id of the request, needed to abort it; set `aborted` when that was asked for.
    """

    __slots__ = (
        "_after",
        "_before",
        "_completion_tokens",
        "_end",
        "_opening",
        "_reply",
        "_usage_wanted",
        "aborted",
        "engine_id",
    )

    def __init__(self, reply: Reply, *, answer_id: str, model: str, chat: bool, usage_wanted: bool) -> None:
        kind = b"chat.completion.chunk" if chat else b"text_completion"
        envelope = b'data: {"id":%b,"object":"%b","created":%d,"model":%b,"choices":[' % (
            orjson.dumps(answer_id),
            kind,
            int(time.time()),
            orjson.dumps(model),
        )
        no_usage = b',"usage":null}\n\n' if usage_wanted else b"}\n\n"
        self._reply = reply
        self._usage_wanted = usage_wanted
        self._opening = envelope + CHAT_ROLE + b"]" + no_usage if chat else b""
        self._before = envelope + (b'{"index":0,"delta":{"content":' if chat else b'{"index":0,"text":')
        self._after = (b"}" if chat else b"") + b',"logprobs":null,"finish_reason":null}]' + no_usage
        self._end = (envelope, chat, no_usage)
        self._completion_tokens = 0
        self.engine_id = ""
        self.aborted = False

    def put(self, output: Any) -> None:
        """vLLM's output handler calls this with each `RequestOutput`, or with the exception that ended the engine."""
        if isinstance(output, Exception):
            self._reply.fail(EngineDied("The engine ended while it worked on this request."))
            return
        delta = output.outputs[0]
        self._completion_tokens += len(delta.token_ids)
        if delta.finish_reason is not None:
            self._finish(output, delta)
        elif delta.text:
            self._reply.data(self._take_opening() + self._before + orjson.dumps(delta.text) + self._after)

    def _take_opening(self) -> bytes:
        opening, self._opening = self._opening, b""
        return opening

    def _finish(self, output: Any, delta: Any) -> None:
        usage = Usage(len(output.prompt_token_ids), self._completion_tokens, output.num_cached_tokens or 0)
        if delta.finish_reason == "abort" and self.aborted:
            self._reply.end(usage)
            return
        if delta.finish_reason not in FINISHED_WELL:
            self._reply.fail(Internal("The engine could not finish this request."))
            return
        events = self._take_opening()
        envelope, chat, no_usage = self._end
        reason = orjson.dumps(delta.finish_reason)
        if chat:
            if delta.text:
                events += self._before + orjson.dumps(delta.text) + self._after
            events += envelope + CHAT_EMPTY + reason + b"}]" + no_usage
        else:
            text = orjson.dumps(delta.text)
            events += self._before + text + b',"logprobs":null,"finish_reason":' + reason + b"}]" + no_usage
        if self._usage_wanted:
            events += envelope + b'],"usage":' + orjson.dumps(usage_body(usage)) + b"}\n\n"
        self._reply.data(events + b"data: [DONE]\n\n")
        self._reply.end(usage)


def usage_body(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage` object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
