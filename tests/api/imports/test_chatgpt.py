import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.imports import chatgpt
from configs.errors import BadRequest
from tests.api.imports import written
from tests.api.imports.folders import a_folder
from tests.api.imports.written import Said, conversations, kept, read, sorted_out, spoiled, zipped

TALK = [
    Said("q", None, "user", "Question?"),
    Said("a", "q", "assistant", "Answer."),
    Said("b", "q", "assistant", "Other."),
]


def message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"author": {"role": role}, "content": content, "metadata": {}, "recipient": "all", **more}


def text(*parts: Any, kind: str = "text") -> dict[str, Any]:
    return {"content_type": kind, "parts": list(parts)}


def chain(*messages: Any) -> dict[str, Any]:
    """A conversation in which each message follows the one before it; their ids are m0, m1 and on."""
    mapping = {
        f"m{index}": {"message": each, "parent": f"m{index - 1}" if index else None, "children": []}
        for index, each in enumerate(messages)
    }
    return {"title": "t", "create_time": 1.7e9, "mapping": mapping, "current_node": f"m{len(messages) - 1}", "id": "c"}


def of(path: Path, *values: Any) -> Any:
    path.write_text(json.dumps(values))
    return sorted_out(chatgpt.create(path))


@settings(deadline=None)
@given(conversations(), st.booleans())
def test_every_branch_and_every_text_is_taken(said: list[Said], alone: bool) -> None:
    with a_folder() as folder:
        path = folder / "export.zip"
        if alone:
            path.write_text(json.dumps([written.chatgpt(said)]))
        else:
            zipped(path, {"conversations.json": [written.chatgpt(said)], "user.json": {"email": "a@example.com"}})
        _, (conversation,), skipped = sorted_out(chatgpt.create(path))
    assert read(conversation) == kept(said)
    assert conversation.current_message_external_id == said[-1].id
    assert [entry for entry in skipped if entry[0] != "characters"] == (
        [] if alone else [("file", "user.json", "only conversations are moved")]
    )


def test_a_conversation(tmp_path: Path) -> None:
    export = chatgpt.create(
        zipped(tmp_path / "e.zip", {"x/conversations.json": [written.chatgpt(TALK, is_archived=True)]})
    )
    assert (export.source, export.names_people) == ("chatgpt", False)
    _, (conversation,), skipped = sorted_out(export)
    assert skipped == []
    assert (conversation.external_id, conversation.owner_external_id, conversation.title) == ("c1", None, "A title")
    assert conversation.archived
    assert conversation.created_at is not None
    assert conversation.created_at.timestamp() == written.START
    assert [each.model for each in conversation.messages] == [None, "gpt-4o", "gpt-4o"]


def test_the_numbered_files_of_a_long_history(tmp_path: Path) -> None:
    files = {f"conversations-{part:03}.json": [written.chatgpt(TALK, f"c{part}")] for part in (1, 0, 10)}
    _, found, _ = sorted_out(chatgpt.create(zipped(tmp_path / "e.zip", files)))
    assert [each.external_id for each in found] == ["c0", "c1", "c10"]


def test_what_only_machines_said_is_left_out_with_a_reason(tmp_path: Path) -> None:
    hidden = {"is_visually_hidden_from_conversation": True}
    value = chain(
        None,
        message("system", text("")),
        message("system", text("Be kind.")),
        message("user", {"content_type": "user_editable_context", "user_profile": "x", "user_instructions": "y"}),
        message("user", text("Question?")),
        message("assistant", {"content_type": "thoughts", "thoughts": [{"content": "hm"}]}),
        message("assistant", {"content_type": "code", "language": "json", "text": "{}"}, recipient="web.run"),
        message("tool", text("result")),
        message("user", text("unseen"), metadata=hidden),
        message("assistant", {"content_type": "reasoning_recap", "content": "Thought for 4s"}),
        message("assistant", text("inner"), channel="analysis"),
        message("critic", text("?")),
        message("assistant", {"content_type": "news", "headline": "?"}),
        message("assistant", text("Answer."), channel="final"),
        message("assistant", text("")),
    )
    _, (conversation,), skipped = of(tmp_path / "c.json", value)
    assert read(conversation) == {"m4": (None, "user", "Question?"), "m13": ("m4", "assistant", "Answer.")}
    assert conversation.current_message_external_id == "m13"
    assert [(external_id, why) for _, external_id, why in skipped] == [
        ("c/m2", "a system message"),
        ("c/m3", "custom instructions, not a message"),
        ("c/m5", "the model's reasoning"),
        ("c/m6", "a call to a tool"),
        ("c/m7", "a tool's result"),
        ("c/m8", "ChatGPT did not show it"),
        ("c/m9", "the model's reasoning"),
        ("c/m10", "the model's reasoning"),
        ("c/m11", "its author's role is not known"),
        ("c/m12", "content of the type news is not known"),
    ]


def test_images_are_left_out_and_what_was_said_about_them_is_taken(tmp_path: Path) -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    sound = {"content_type": "audio_transcription", "text": "Spoken."}
    attached = {"attachments": [{"name": "a.pdf"}, {"name": "b.pdf"}]}
    value = chain(
        message("user", text(image, "What is this?", sound, kind="multimodal_text")),
        message("user", text(image, kind="multimodal_text"), metadata=attached),
        message("assistant", {"content_type": "code", "language": "python", "text": "a = '```'"}),
    )
    _, (conversation,), skipped = of(tmp_path / "c.json", value)
    assert [each.content for each in conversation.messages] == [
        ("What is this?", "Spoken."), (), ("````python\na = '```'\n````",),
    ]  # fmt: skip
    assert [(what, why) for what, _, why in skipped] == [
        ("attachment", "image_asset_pointer: images, sound and files are not moved"),
        ("attachment", "image_asset_pointer: images, sound and files are not moved"),
        ("attachment", "2 attached: files are not moved"),
    ]


def test_the_first_exports_had_no_ids(tmp_path: Path) -> None:
    value = {**written.chatgpt(TALK), "id": None, "conversation_id": None}
    _, (conversation,), _ = of(tmp_path / "c.json", value)
    assert conversation.external_id == "root"


def test_parents_are_found_by_their_children(tmp_path: Path) -> None:
    value = written.chatgpt(TALK)
    for node in value["mapping"].values():
        node.pop("parent")
    _, (conversation,), _ = of(tmp_path / "c.json", value)
    assert read(conversation) == kept(TALK)


def test_one_bad_conversation_costs_only_itself(tmp_path: Path) -> None:
    bad = {"id": "bad\x1b[2J", "mapping": {"m": {"message": message("user", text("x"))}}}
    _, found, skipped = of(
        tmp_path / "c.json", written.chatgpt(TALK, "c1"), {"id": "c2"}, bad, written.chatgpt(TALK, "c3")
    )
    assert [each.external_id for each in found] == ["c1", "c3"]
    assert skipped == [
        ("conversation", "c2", "it has no tree of messages"),
        ("conversation", "(no printable name)", "its id is not printable or longer than 200 characters"),
    ]


def test_a_file_that_is_cut_gives_what_is_whole(tmp_path: Path) -> None:
    whole = json.dumps([written.chatgpt(TALK, "c1"), written.chatgpt(TALK, "c2")]).encode()
    _, found, skipped = sorted_out(chatgpt.create(zipped(tmp_path / "e.zip", {"conversations.json": whole[:-50]})))
    assert [each.external_id for each in found] == ["c1"]
    assert [(what, name) for what, name, _ in skipped] == [("file", "conversations.json")]


@settings(deadline=None)
@given(st.data())
def test_no_content_breaks_the_reading(data: st.DataObject) -> None:
    value = data.draw(
        spoiled(
            chain(message("user", text("a", {"text": "b"}, kind="multimodal_text")), message("assistant", text("c")))
        )
    )
    with a_folder() as folder:
        path = folder / "c.json"
        path.write_text(json.dumps([value, written.chatgpt(TALK)]))
        _, found, _ = sorted_out(chatgpt.create(path))
    assert kept(TALK) == read(found[-1])


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        chatgpt.create(tmp_path / "nothing.zip")
    with pytest.raises(BadRequest, match="is it the archive that ChatGPT sent"):
        chatgpt.create(zipped(tmp_path / "other.zip", {"letters.json": []}))
