"""A conversation as chat templates know it."""

from typing import Any

import orjson

OF_ANSWERS = {"annotations", "audio", "function_call"}
"""What an answer carries beside its text; a model is not told it again."""
UNKNOWN_TO_TEMPLATES = [b"developer", *(name.encode() for name in sorted(OF_ANSWERS))]


def with_known_messages(body: bytes, parsed: dict[str, Any]) -> bytes:
    """The chat as templates know it, the same bytes where nothing is to be changed."""
    if "messages" not in parsed or not any(word in body for word in UNKNOWN_TO_TEMPLATES):
        return body
    return orjson.dumps({**parsed, "messages": [known_message(message) for message in parsed["messages"]]})


def known_message(message: dict[str, Any]) -> dict[str, Any]:
    """`developer` is OpenAI's newer word for `system`; an answer that is sent back has fields of its own."""
    known = {name: value for name, value in message.items() if name not in OF_ANSWERS}
    return {**known, "role": "system"} if message["role"] == "developer" else known
