"""Compile grammars, one after another, in a process with limits: `python -m models.chat.grammar.checker FD`.

xgrammar's parsers recurse on the stack: one pattern of 60,000 parentheses ends the process that compiles it. Here it
ends this one. The first question on the socket FD is the tokenizer's description, then each is [kind, text], answered
by true or false.
"""

import logging
import os
import resource
import sys
from typing import Any

import xgrammar

from configs.frames import Line

log = logging.getLogger(__name__)

CPU_S = 5
MEMORY_BYTES = 4 * 2**30


def main() -> None:
    """Answer until the other side closes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    line = Line(int(sys.argv[1]))
    questions = line.received()
    info = xgrammar.TokenizerInfo.deserialize_json(next(questions))
    compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
    line.send(True)
    for kind, text in questions:
        allow_cpu(CPU_S)
        line.send(compiles(compiler, kind, text))


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


if __name__ == "__main__":
    main()
    os._exit(0)  # native threads need no farewell
