"""Asks the checker before a grammar is admitted, starts it when needed, and remembers what it said."""

import asyncio
import functools
import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable

from configs.errors import BadRequest
from configs.respondent import Respondent

log = logging.getLogger(__name__)

MAX_CHARACTERS = 256 * 1024
REMOTE = re.compile(r'"\$ref"\s*:\s*"(?!#)')
"""A `$ref` elsewhere; xgrammar would take it for "anything"."""

REMEMBERED = 1024


class GrammarGuard:
    """One checker process for one tokenizer; `tokenizer_info` gives xgrammar's JSON about it."""

    def __init__(self, tokenizer_info: Callable[[], str]) -> None:
        told = functools.cache(tokenizer_info)  # the whole vocabulary: seconds for a large one
        self._checker = Respondent("grammars", "models.chat.grammar.checker", told)
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._turn = asyncio.Lock()

    async def check(self, kind: str, text: str) -> None:
        """Return when the text compiles; `kind` is json, regex, grammar or structural_tag.

        Raises:
            BadRequest: it does not, or takes more time or memory than allowed.
            Unavailable: the checker could not be started.
        """
        if len(text) > MAX_CHARACTERS:
            raise BadRequest(f"The {_name(kind)} is longer than {MAX_CHARACTERS} characters.", param=_param(kind))
        if kind == "json" and REMOTE.search(text):
            raise BadRequest("'$ref' must point into the schema itself: nothing is fetched.", param=_param(kind))
        digest = hashlib.sha256(f"{kind}\0{text}".encode()).digest()
        if digest not in self._verdicts:
            async with self._turn:
                if digest not in self._verdicts:
                    self._remember(digest, await self._ask(kind, text))
        if not self._verdicts[digest]:
            raise BadRequest(f"The {_name(kind)} cannot be compiled, or is too complex.", param=_param(kind))

    def close(self) -> None:
        """End the checker."""
        self._checker.close()

    def _remember(self, digest: bytes, verdict: bool) -> None:
        self._verdicts[digest] = verdict
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)

    async def _ask(self, kind: str, text: str) -> bool:
        try:
            return bool(await self._checker.ask([kind, text]))
        except (OSError, EOFError, TimeoutError) as error:
            log.warning("a %s of %d characters ended the checker (%s)", kind, len(text), type(error).__name__)
            return False


def _name(kind: str) -> str:
    return {"json": "JSON schema", "regex": "regular expression", "structural_tag": "structural tag"}.get(kind, kind)


def _param(kind: str) -> str:
    return "response_format" if kind == "json" else "structured_outputs"
