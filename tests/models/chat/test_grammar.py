"""The guard with its real checker process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import xgrammar

from configs.errors import BadRequest
from models.chat.grammar.guard import MAX_CHARACTERS, GrammarGuard

VOCABULARY = [chr(code) for code in range(32, 127)] + ["</s>"]


def tokenizer_info() -> str:
    return str(xgrammar.TokenizerInfo(VOCABULARY, stop_token_ids=[len(VOCABULARY) - 1]).serialize_json())


@pytest.fixture(scope="module")
async def guard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GrammarGuard]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("grammars"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        made = GrammarGuard(tokenizer_info)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json", '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'),
        ("regex", "[a-z]{2,8}"),
        ("grammar", 'root ::= "yes" | "no"'),
    ],
)
async def test_what_compiles_passes(guard: GrammarGuard, kind: str, text: str) -> None:
    await guard.check(kind, text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json", '{"type": "object", "properties": {"a": {"type": "string", "pattern": "%s"}}}' % ("(" * 60000)),
        ("json", '{"type": "string", "pattern": "' + "(" * 60000 + "a" + ")" * 60000 + '"}'),
        ("json", '{"type": "nonsense"}'),
        ("json", '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}'),
        ("regex", "(?<=a)b("),
        ("regex", "(" * 60000 + ")" * 60000),
        ("grammar", "root ::= "),
        ("regex", "a" * (MAX_CHARACTERS + 1)),
    ],
)
async def test_what_does_not_compile_or_kills_its_compiler_is_refused(
    guard: GrammarGuard, kind: str, text: str
) -> None:
    for _ in range(2):
        with pytest.raises(BadRequest) as refused:
            await guard.check(kind, text)
        assert text not in refused.value.message
    await guard.check("regex", "[a-z]+")
