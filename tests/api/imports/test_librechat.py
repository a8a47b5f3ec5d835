import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.imports import librechat
from tests.api.imports import written
from tests.api.imports.folders import a_folder
from tests.api.imports.written import Said, conversations, kept, read, sorted_out, spoiled, zipped

TALK = [
    Said("q", None, "user", "Question?"),
    Said("a", "q", "assistant", "Answer."),
    Said("b", "q", "assistant", "Other."),
]


def of(path: Path, value: Any) -> Any:
    path.write_text(json.dumps(value))
    return sorted_out(librechat.create(path))


@settings(deadline=None)
@given(conversations(), st.booleans(), st.booleans())
def test_every_branch_and_every_text_is_taken(said: list[Said], nested: bool, listed: bool) -> None:
    value = written.librechat(said, nested=nested)
    with a_folder() as folder:
        _, (conversation,), skipped = of(folder / "c.json", [value] if listed else value)
    assert read(conversation) == kept(said)
    assert {what for what, _, _ in skipped} <= {"characters"}


def test_a_conversation(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(written.librechat(TALK)))
    export = librechat.create(path)
    assert (export.source, export.names_people) == ("librechat", False)
    _, (conversation,), skipped = sorted_out(export)
    assert skipped == []
    assert (conversation.external_id, conversation.title, conversation.archived) == ("c1", "A title", False)
    assert str(conversation.created_at) == "2024-05-28 18:08:00.014000+00:00"
    assert str(conversation.updated_at) == "2024-05-28 19:00:00+00:00"
    assert conversation.current_message_external_id == "b"
    assert [each.model for each in conversation.messages] == [None, "gpt-4o", "gpt-4o"]


def test_an_archive_of_exports(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "all.zip", {"b.json": written.librechat(TALK, "c2"), "a.json": written.librechat(TALK, "c1")}
    )
    _, found, _ = sorted_out(librechat.create(path))
    assert [each.external_id for each in found] == ["c1", "c2"]


def test_nested_answers_go_as_deep_as_they_like(tmp_path: Path) -> None:
    said = [Said(str(index), str(index - 1) if index else None, "user", "x") for index in range(3000)]
    value = written.librechat(said)["messages"]
    nested = "[]"
    for message in reversed(value):
        nested = json.dumps(message)[:-1] + f', "children": {nested}}}'
        nested = f"[{nested}]"
    (tmp_path / "c.json").write_text(f'{{"conversationId": "c", "recursive": true, "messagesTree": {nested}}}')
    _, (conversation,), skipped = sorted_out(librechat.create(tmp_path / "c.json"))
    assert read(conversation) == kept(said)
    assert skipped == []


def test_content_in_parts(tmp_path: Path) -> None:
    value = written.librechat(TALK[:2])
    question, answer = value["messages"]
    question |= {"files": [{"filename": "a.pdf"}]}
    answer |= {
        "text": "",
        "unfinished": True,
        "content": [
            {"type": "think", "think": "hm"},
            {"type": "text", "text": "One."},
            {"type": "tool_call", "tool_call": {"name": "x"}},
            {"type": "text", "text": {"value": "Two."}},
            {"type": "image_file", "image_file": {}},
        ],
    }
    _, (conversation,), skipped = of(tmp_path / "c.json", value)
    assert [each.content for each in conversation.messages] == [("Question?",), ("One.", "Two.")]
    assert [dict(each.extra) for each in conversation.messages] == [{}, {"unfinished": True}]
    assert skipped == [
        ("attachment", "c1/q", "1 attached: files are not moved"),
        ("attachment", "c1/a", "images, sound and files are not moved"),
        ("attachment", "c1/a", "the model's reasoning"),
        ("attachment", "c1/a", "a call to a tool"),
    ]


def test_errors_and_empty_messages_are_left_out(tmp_path: Path) -> None:
    value = written.librechat([*TALK, Said("c", "a", "user", "On."), Said("d", "b", "user", "Last.")])
    value["messages"][1]["error"] = True
    value["messages"][2] |= {"text": "", "content": [{"type": "tool_call", "tool_call": {}}]}
    _, (conversation,), skipped = of(tmp_path / "c.json", value)
    assert read(conversation) == {
        "q": (None, "user", "Question?"),
        "c": ("q", "user", "On."),
        "d": ("q", "user", "Last."),
    }
    assert skipped == [("message", "c1/a", "an error message"), ("message", "c1/b", "a call to a tool")]


def test_a_message_without_an_id_gets_the_same_one_each_time(tmp_path: Path) -> None:
    value = written.librechat(TALK, nested=True)
    value["messagesTree"][0].pop("messageId")
    _, (first,), _ = of(tmp_path / "c.json", value)
    value["messagesTree"].insert(0, {"messageId": "new", "text": "New.", "isCreatedByUser": True})
    _, (second,), _ = of(tmp_path / "c.json", value)
    assert len(first.messages) == 3
    assert read(first).items() <= read(second).items()


@pytest.mark.parametrize(
    "value", [{}, {"conversationId": "c"}, {"conversationId": "c", "messages": []}, {"messages": [{}]}]
)
def test_what_is_no_conversation_is_skipped(tmp_path: Path, value: Any) -> None:
    _, found, skipped = of(tmp_path / "c.json", [value, written.librechat(TALK)])
    assert [each.external_id for each in found] == ["c1"]
    assert [what for what, _, _ in skipped] == ["conversation"]


@settings(deadline=None)
@given(st.data(), st.booleans())
def test_no_content_breaks_the_reading(data: st.DataObject, nested: bool) -> None:
    value = written.librechat(TALK, nested=nested)
    value["messages" if not nested else "messagesTree"][0]["content"] = [{"type": "text", "text": {"value": "x"}}, "y"]
    with a_folder() as folder:
        _, found, _ = of(folder / "c.json", [data.draw(spoiled(value)), written.librechat(TALK)])
    assert kept(TALK) == read(found[-1])
