"""What has to be done is read off what is here and what the store says."""

from typing import Any, cast

import pytest

from api.cli.client import Client, Refusal
from api.cli.local_files import Folder, Gathered, Local, Skipped
from api.cli.planning import Known, find_moves, plan_of
from api.cli.shelving import move, patient
from configs.errors import BadRequest

B = Folder("b/", "")


def local(path: str, digest: str = "1", source: str = "") -> Local:
    return Local(path, path, digest, b"x", source)


def known(
    path: str, digest: str = "1", status: str = "completed", code: str = "", id_: str = "", source: str = ""
) -> Known:
    return Known(id_ or f"file-{path}", path, digest, status, {"code": code, "message": "no"} if code else None, source)


def held(*files: Known) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = {}
    for each in files:
        found.setdefault(each.path, []).append(each)
    return found


def test_new_changed_and_unchanged_files_are_told_apart() -> None:
    old = known("b/changed", "0")
    plan = plan_of(Gathered([local("b/new"), local("b/changed"), local("b/same")], [], [B]), held(old, known("b/same")))
    assert [each.path for each in plan.new] == ["b/new"]
    assert [each.path for each in plan.changed] == ["b/changed"]
    assert plan.replaced == {"b/changed": [old]}
    assert (plan.unchanged, plan.again, plan.gone, plan.failed) == (1, [], [], [])


def test_what_has_no_end_or_failed_by_chance_is_done_again_without_an_upload() -> None:
    states = held(
        known("a", status="in_progress"), known("b", status="cancelled"),
        known("c", status="failed", code="server_error"), known("d", status="failed", code="invalid_file"),
    )  # fmt: skip
    plan = plan_of(Gathered([local(name) for name in "abcd"], [], []), states)
    assert [each.path for each in plan.again] == ["a", "b", "c"]
    assert [each.path for each in plan.failed] == ["d"]


def test_only_what_came_from_these_folders_can_be_gone() -> None:
    there = held(
        known("b/gone"),
        known("b/unread"),
        known("b/closed/a"),
        known("bb/other"),
        known("single.txt"),
        known("https://example.com/"),
    )
    plan = plan_of(Gathered([], [Skipped("b/unread", "empty"), Skipped("b/closed", "cannot be read")], [B]), there)
    assert [each.path for each in plan.gone] == ["b/gone"]


def test_what_lies_in_another_folder_has_moved() -> None:
    there = held(
        known("b/old/a.md", "1"), known("b/old/twin/a.md", "1"), known("b/old/other.md", "2"),
        known("b/old/failed.md", "3", "failed", "server_error"), known("b/stays.md", "4"),
    )  # fmt: skip
    here = [("b/new/a.md", "1"), ("b/new/renamed.md", "2"), ("b/new/failed.md", "3"), ("b/copy/stays.md", "4")]
    plan = plan_of(Gathered([*(local(*each) for each in here), local("b/stays.md", "4")], [], [B]), there)
    find_moves(plan)
    assert [(each.path, each.digest) for each in plan.moved] == [("b/new/a.md", "1")]
    assert [each.path for each in plan.new] == ["b/new/renamed.md", "b/new/failed.md", "b/copy/stays.md"]
    assert len(plan.gone) == 3
    assert plan.moved[0].id in {"file-b/old/a.md", "file-b/old/twin/a.md"} - {each.id for each in plan.gone}


def test_older_versions_go_once_the_newest_is_indexed() -> None:
    newest, older = known("a", "2", id_="file-2"), known("a", "1", id_="file-1")
    assert plan_of(Gathered([local("a", "2")], [], []), held(newest, older)).replaced == {"a": [older]}
    assert plan_of(Gathered([local("a", "3")], [], []), held(newest, older)).replaced == {"a": [newest, older]}
    broken = known("a", "2", "failed", "invalid_file", "file-2")
    assert plan_of(Gathered([local("a", "2")], [], []), held(broken, older)).replaced == {}


def test_what_came_from_elsewhere_is_replaced_only_when_that_is_said() -> None:
    there = held(known("b/a", "1", source="old"), known("b/c", "1", source="old"), known("b/gone", source="old"))
    here = [local("b/a", "1", "new"), local("b/c", "2", "new")]
    gathered = Gathered(here, [], [Folder("b/", "new")])
    for other in (gathered, Gathered(here), Gathered([], [], [Folder("b/", "new")])):
        with pytest.raises(BadRequest, match=r"--store.*--replace"):
            plan_of(other, there)
    plan = plan_of(gathered, there, replacing=True)
    assert [(each.path, each.source) for each in plan.moved] == [("b/a", "new")]
    assert [each.path for each in plan.changed] == ["b/c"]
    assert plan.replaced == {"b/c": there["b/c"]}
    assert plan.gone == there["b/gone"]
    assert plan.unchanged == 0


def test_two_folders_of_one_name_that_share_a_store_keep_to_their_own_files() -> None:
    there = held(known("b/a", source="1"), known("b/gone", source="1"), known("b/c", source="2"))
    one, two = Folder("b/", "1"), Folder("b/", "2")
    alone = plan_of(Gathered([local("b/c", source="2")], [], [two]), there)
    assert (alone.gone, alone.unchanged) == ([], 1)
    both = plan_of(Gathered([local("b/a", source="1"), local("b/c", source="2")], [], [one, two]), there)
    assert (both.gone, both.unchanged) == (there["b/gone"], 2)


def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.cli.shelving.POLL_S", 0.001)
    answers = [Refusal("busy", 503), Refusal("busy", 429), None]

    def call() -> str:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return "done"

    assert patient(call) == "done"
    with pytest.raises(Refusal):
        patient(lambda: (_ for _ in ()).throw(Refusal("never", 503)))
    with pytest.raises(Refusal):
        patient(lambda: (_ for _ in ()).throw(Refusal("wrong", 400)))


class Answering:
    """A server of which each call is answered in turn."""

    def __init__(self, *answers: Refusal | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any]] = []

    def post(self, path: str, body: object) -> None:
        self.asked.append((path, body))
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


def test_a_file_that_is_gone_while_others_move_ends_nothing() -> None:
    gone, stays = known("b/a"), Known("file-2", "b/c", "2", "completed", None, "", {"team": "birds", "path": "old/c"})
    server = Answering(Refusal("There is no such file.", 404), None)
    move(cast("Client", server), "vs_1", [gone, stays])
    attributes = {"team": "birds", "path": "b/c", "digest": "2"}
    assert server.asked[1] == ("/v1/vector_stores/vs_1/files/file-2", {"attributes": attributes})
    with pytest.raises(Refusal):
        move(cast("Client", Answering(Refusal("no", 403))), "vs_1", [stays])
