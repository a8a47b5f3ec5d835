from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.conversations import MAX_MESSAGES
from api.imports import trees
from api.imports.records import ImportedConversation, Unfit
from api.imports.trees import Draft, Frame, grown

START = datetime(2026, 1, 1, tzinfo=UTC)
IDS = st.sampled_from([f"m{index}" for index in range(8)])
DRAFTS = st.lists(
    st.builds(
        Draft,
        external_id=IDS,
        parent_external_id=st.none() | IDS | st.just("nowhere"),
        role=st.sampled_from(["user", "assistant"]),
        content=st.tuples(st.text()),
        created_at=st.none() | st.integers(-100, 100).map(lambda seconds: START + timedelta(seconds=seconds)),
        dropped=st.none() | st.sampled_from(["", "a tool's result"]),
    ),
    max_size=12,
)


def frame(current: str | None = None, created_at: datetime | None = START) -> Frame:
    return Frame("c", None, "", created_at, None, archived=False, current=current)


def said(external_id: str, parent: str | None, *, at: int | None = None, dropped: str | None = None) -> Draft:
    time = START + timedelta(seconds=at) if at is not None else None
    return Draft(external_id, parent, "user", (external_id,), created_at=time, dropped=dropped)


def links(conversation: ImportedConversation) -> list[tuple[str, str | None]]:
    return [(message.external_id, message.parent_external_id) for message in conversation.messages]


@given(DRAFTS, st.none() | IDS)
def test_any_links_become_a_tree_that_keeps_every_text(drafts: list[Draft], current: str | None) -> None:
    first = {draft.external_id: draft for draft in reversed(drafts)}
    wanted = {draft.external_id: draft for draft in first.values() if draft.dropped is None}
    if not wanted:
        with pytest.raises(Unfit, match="no messages"):
            grown(frame(current), drafts)
        return
    conversation, notes = grown(frame(current), drafts)
    seen: set[str | None] = {None}
    for message in conversation.messages:
        assert message.parent_external_id in seen
        assert message.external_id not in seen
        assert message.content == tuple(text.replace("\0", "\ufffd") for text in wanted[message.external_id].content)
        seen.add(message.external_id)
    assert seen - {None} == wanted.keys()
    assert conversation.current_message_external_id in wanted
    assert sum(note.what == "message" for note in notes) == len(drafts) - len(wanted) - sum(
        draft.dropped == "" for draft in first.values()
    )
    assert grown(frame(current), drafts) == (conversation, notes)


def test_what_is_not_kept_hands_its_place_to_its_parent() -> None:
    drafts = [
        said("root", None, dropped=""), said("q", "root"), said("call", "q", dropped="a call"),
        said("result", "call", dropped="a result"), said("a", "result"), said("other", "call"),
    ]  # fmt: skip
    conversation, notes = grown(frame("result"), drafts)
    assert links(conversation) == [("q", None), ("a", "q"), ("other", "q")]
    assert conversation.current_message_external_id == "q"
    assert [(note.what, note.external_id, note.why) for note in notes] == [
        ("message", "c/call", "a call"), ("message", "c/result", "a result"),
    ]  # fmt: skip


def test_circles_and_loose_ends_begin_branches() -> None:
    drafts = [said("a", "b"), said("b", "c"), said("c", "a"), said("self", "self"), said("loose", "nowhere")]
    conversation, notes = grown(frame(), drafts)
    assert sorted(links(conversation)) == [("a", "b"), ("b", "c"), ("c", None), ("loose", None), ("self", None)]
    assert sorted(note.external_id for note in notes) == ["c/c", "c/loose", "c/self"]


def test_messages_come_by_time_and_after_their_parents() -> None:
    drafts = [said("late", "q", at=9), said("early", "q", at=2), said("q", None, at=1), said("timeless", "early")]
    conversation, _ = grown(frame(), drafts)
    assert [message.external_id for message in conversation.messages] == ["q", "early", "timeless", "late"]
    assert conversation.messages[2].created_at == START + timedelta(seconds=2)
    assert conversation.updated_at == START + timedelta(seconds=9)
    assert conversation.current_message_external_id == "late"


def test_without_any_time_there_is_none() -> None:
    conversation, _ = grown(frame(created_at=None), [said("q", None), said("a", "q")])
    assert [message.created_at for message in conversation.messages] == [None, None]
    assert conversation.created_at is None


def test_what_is_no_text_is_counted() -> None:
    conversation, notes = grown(frame(), [Draft("q", None, "user", ("a\0b\ud800", "\ud83d\ude00"[:1]))])
    assert conversation.messages[0].content == ("a\ufffdb\ufffd", "\ufffd")
    assert [(note.what, note.why[:2]) for note in notes] == [("characters", "3 ")]


def test_messages_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_MESSAGES", 2)
    assert grown(frame(), [said("a", None), said("b", "a")])
    with pytest.raises(Unfit, match="more than 2 messages"):
        grown(frame(), [said("a", None), said("b", "a"), said("c", "b")])


def test_the_limit_is_that_of_conversations_here() -> None:
    assert trees.MOST_MESSAGES == MAX_MESSAGES


def test_a_long_chain_is_no_matter() -> None:
    drafts = [said(str(index), str(index - 1) if index else None) for index in range(10_000)]
    conversation, notes = grown(frame(), reversed(drafts))
    assert links(conversation)[-1] == ("9999", "9998")
    assert notes == []
