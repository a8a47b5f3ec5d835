from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.conversations import sealed
from api.imports.records import ImportedMessage
from api.moving import conversations
from api.moving.conversations import content_of
from api.vault.keys import DataKey
from configs.seal import aad_of, open_sealed
from tests.api.moving.arrivals import Arrivals, conversation, message, person

KEY = DataKey("dk_1", bytes(32))
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(TEXT, max_size=3), st.booleans())
def test_no_text_is_changed_on_the_way(texts: list[str], unfinished: bool) -> None:
    extra = {"unfinished": True} if unfinished else {}
    content = content_of(ImportedMessage("m", None, "user", tuple(texts), None, None, extra))
    kept = open_sealed(
        KEY.key, sealed(KEY, "messages", "m", "content", "o", content), aad_of("messages", "m", "content", "o")
    )
    opened: dict[str, Any] = orjson.loads(kept)
    parts = opened["content"]
    assert ([parts] if isinstance(parts, str) else [part["text"] for part in parts]) == (texts or [""])
    assert opened.get("metadata", {}) == extra


async def test_a_conversation_that_would_grow_too_long_stays(
    arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "MAX_MESSAGES", 2)
    talk = [message("q", None), message("a", "q")]
    await arrivals.move([person(), conversation(*talk)])
    before = arrivals.state()
    report = await arrivals.move([person(), conversation(*talk, message("r", "a"))])
    assert [why for _, why in report.skipped] == ["with what was added here it has more than 2 messages"]
    assert (report.conversations_extended, report.messages_added) == (0, 0)
    assert arrivals.state() == before
