"""Compile grammars, one after another, in a process with limits: `python -m models.chat.grammar.checker FD`.

xgrammar's parsers recurse on the stack: one pattern of 60,000 parentheses ends the process that compiles it. Here it
ends this one. Frames on the socket FD are a length (4 bytes) and JSON; the first one is the tokenizer's description,
then each is [kind, text], answered by true or false.
"""

import logging
import os
import resource
import socket
import sys
from typing import Any

import orjson
import xgrammar

log = logging.getLogger(__name__)

CPU_S = 5
MEMORY_BYTES = 4 * 2**30


def main() -> None:
    """Answer until the other side closes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    line = socket.socket(fileno=int(sys.argv[1]))
    with line.makefile("rwb") as stream:
        info = xgrammar.TokenizerInfo.deserialize_json((read(stream) or b"").decode())
        compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        write(stream, True)
        while (frame := read(stream)) is not None:
            allow_cpu(CPU_S)
            write(stream, compiles(compiler, *orjson.loads(frame)))


def compiles(compiler: Any, kind: str, text: str) -> bool:
    """Whether vLLM's backend could compile it, by the same calls, and an answer can begin.

    A schema of names that only name each other compiles, admits nothing, and fails its request in the engine.
    """
    ways = {
        "json": compiler.compile_json_schema,
        "regex": compiler.compile_regex,
        "grammar": compiler.compile_grammar,
        "structural_tag": compiler.compile_structural_tag,
    }
    try:
        return can_begin(ways[kind](text))
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        log.info("a %s of %d characters does not compile: %s", kind, len(text), type(error).__name__)
        return False


def can_begin(grammar: Any) -> bool:
    """Whether the grammar admits any first token."""
    mask = xgrammar.allocate_token_bitmask(1, grammar.tokenizer_info.vocab_size)
    limited = xgrammar.GrammarMatcher(grammar).fill_next_token_bitmask(mask)
    return not limited or bool(mask.any())


def allow_cpu(seconds: int) -> None:
    """Let this process use `seconds` more; the kernel ends it then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def read(stream: Any) -> bytes | None:
    """One frame, None at the end."""
    head = stream.read(4)
    return stream.read(int.from_bytes(head, "big")) if len(head) == 4 else None  # noqa: PLR2004


def write(stream: Any, answer: bool) -> None:
    """One frame."""
    body = orjson.dumps(answer)
    stream.write(len(body).to_bytes(4, "big") + body)
    stream.flush()


if __name__ == "__main__":
    main()
    os._exit(0)  # native threads need no farewell
