import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from api.cli import import_
from api.cli.main import loaded
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.errors import BadRequest
from configs.postgres import EmbeddedPostgres
from configs.specs import Configuration
from tests.api.imports.written import Chat, Said, change, chatgpt, open_webui, webui_db, zipped
from tests.fixtures.data_dirs import held_layout, open_folder

TALK = [Said("q", None, "user", "Question?"), Said("a", "q", "assistant", "Answer.")]
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A data directory that nobody holds; nothing ever ran in it."""
    with open_folder() as made:
        (made / "manta.yaml").write_text("model_list: []\n")
        yield made
        with held_layout(made / "data"):
            pass


@pytest.fixture(scope="module")
def run(root: Path) -> Command:
    where = ["--config", str(root / "manta.yaml"), "--data-dir", str(root / "data")]

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(import_.app, [*arguments, *where])

    return command


def test_the_command_has_the_name_that_python_keeps_for_itself() -> None:
    assert loaded("import").name == "import"


def test_while_nothing_runs(root: Path, run: Command) -> None:
    path = webui_db(
        root / "webui.db", [Chat("c1", "u1", open_webui(TALK))], [("u1", "Ann", "ann@example.com", "user", 1)]
    )
    told = json.loads(run("open-webui", str(path), "--dry-run", "--json").stdout)
    done = json.loads(run("open-webui", str(path), "--json").stdout)
    assert {**told, "dry_run": False} == done
    assert (done["users_added"], done["conversations_added"], done["messages_added"]) == (1, 1, 2)
    again = json.loads(run("open-webui", str(path), "--json").stdout)
    assert (again["users_unchanged"], again["conversations_unchanged"], again["messages_added"]) == (1, 1, 0)
    shown = run(
        "chatgpt",
        str(zipped(root / "e.zip", {"conversations.json": [chatgpt(TALK)], "x.png": b""})),
        "--to",
        "ann@example.com",
    )
    assert "1 conversations were added" in shown.stdout
    assert "only conversations are moved" in shown.stdout


def test_while_the_stack_runs(root: Path, run: Command) -> None:
    path = webui_db(
        root / "more.db", [Chat("c9", "u9", open_webui(TALK))], [("u9", "Bob", "bob@example.com", "user", 1)]
    )
    layout = Layout(root / "data")
    with layout.hold(command="manta serve", port=1), EmbeddedPostgres(layout) as server:
        cluster = Cluster(
            data_dir=layout.data_dir,
            database_url=SecretStr(server.urls.app_url),
            redis_url=SecretStr("unused"),
            link_secret=SecretStr("unused"),
            configuration=Configuration(),
        )
        cluster.write(layout.cluster)
        done = json.loads(run("open-webui", str(path), "--json").stdout)
    assert (done["users_added"], done["conversations_added"]) == (1, 1)


def test_what_is_wrong_is_told_before_anything_starts(tmp_path: Path, run: Command) -> None:
    for arguments, words in [
        (("notes", "x"), "known are chatgpt, librechat, open-webui"),
        (("chatgpt", str(tmp_path / "nothing")), "cannot be read"),
        (("chatgpt", "x", "--map", "nobody"), "two e-mail addresses"),
    ]:
        error = run(*arguments).exception
        assert isinstance(error, BadRequest)
        assert words in error.message


def test_names_of_the_file_do_not_reach_the_terminal_as_commands(root: Path, run: Command) -> None:
    path = webui_db(root / "odd.db", [Chat("\x1b[31mred", "u", "{"), Chat("[red]x[/red]", "u", "{")])
    change(path, 'CREATE TABLE "\x1b]0;title" (id)', 'INSERT INTO "\x1b]0;title" VALUES (1)')
    shown = run("open-webui", str(path)).stdout
    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown
