"""What tracked files may not say, and how long Python files may be."""

import ast
import hashlib
import re

import pytest

from tests.architecture.tracked import text_of, tracked

LONGEST = 300
LONGER = {"tests/configs/test_postgres.py"}
"""Files that may be longer, each because it is one subject; the list may only shrink."""

MACHINE = re.compile(r"(?<![\w.:/$}~-])/(?:home|root|Users|work|workspace|opt|mnt)/\w")
HOST = re.compile(r"https?://([\w.-]+)")
ADDRESS = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")
HOSTS = {
    "127.0.0.1", "localhost", "me", "host", "manta", "169.254.169.254", "example.com", "a.example.com",
    "accounts.google.com", "api.github.com", "arxiv.org", "docs.ray.io", "github.com", "huggingface.co",
    "json-schema.org", "keepachangelog.com", "semver.org", "vllm.ai",
    "www.apache.org", "www.conventionalcommits.org", "www.ray.io", "www.w3.org",
    "ns.adobe.com", "purl.org", "schemas.openxmlformats.org", "www.idpf.org", "purl.oclc.org",  # in names of XML
}  # fmt: skip
"""Every host that an address may name: what documents point to, and examples. Package indexes are not among them."""
WORDS = {"c857d09db23e", "c70eca6b0f88", "94a168d2da57", "d298391b0743"}
"""The first digits of the SHA-256 of words about how this was written; the project speaks of itself only."""

LOCKS = tuple(name for name in tracked(".txt") if name.startswith("requirements/"))
WRITTEN = tuple(name for name in tracked() if name not in LOCKS and name != "LICENSE")


@pytest.mark.parametrize("pattern", [MACHINE], ids=["machine path"])
def test_no_file_names_a_machine(pattern: re.Pattern[str]) -> None:
    found = {name: match.group() for name in WRITTEN if (match := pattern.search(text_of(name)))}
    assert found == {}


def is_known(host: str) -> bool:
    return host in HOSTS or host.endswith(".example.com")


def test_addresses_name_known_hosts_only() -> None:
    found = {(name, host.lower()) for name in WRITTEN for host in HOST.findall(text_of(name))}
    assert {(name, host) for name, host in found if not is_known(host.rstrip("."))} == set()


def test_mail_addresses_are_examples() -> None:
    found = {(name, host) for name in WRITTEN for host in ADDRESS.findall(text_of(name))}
    assert {(name, host) for name, host in found if not host.endswith(("example.com", "127.0.0.1"))} == set()


def test_no_word_about_the_writing() -> None:
    seen: dict[str, str] = {}
    for name in WRITTEN:
        for word in re.findall(r"[a-z]{5,}", text_of(name).lower()):
            seen.setdefault(word, name)
    found = {word: name for word, name in seen.items() if hashlib.sha256(word.encode()).hexdigest()[:12] in WORDS}
    assert found == {}


def test_modules_say_what_they_are() -> None:
    assert [name for name in tracked(".py") if text_of(name).strip() and not _docstring(name)] == []


def test_files_are_short() -> None:
    long = {name for name in tracked(".py") if text_of(name).count("\n") > LONGEST}
    assert long == LONGER


def _docstring(name: str) -> str | None:
    """A module's docstring; test modules, conftest files and migrations may speak by their name."""
    if name.startswith("tests/"):
        return name
    return ast.get_docstring(ast.parse(text_of(name)))


@pytest.mark.parametrize(
    ("text", "names_one"),
    [
        ("see /" + "home/someone", True), ("`/" + "opt/x`", True), ("/var/lib/manta", False),
        ("api/" + "work/x", False), ("https://a.example.com/" + "work/x", False), ("~/" + "work/x", False),
    ],
)  # fmt: skip
def test_the_pattern_knows_a_machine_path(text: str, names_one: bool) -> None:
    assert bool(MACHINE.search(text)) == names_one
