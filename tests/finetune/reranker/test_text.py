"""What the reranker learns from: whose text it is, and the questions that are made of it."""

import random
from itertools import islice
from pathlib import Path

import pytest

from finetune.reranker import passages as text
from finetune.reranker.__main__ import asked_about, split
from finetune.reranker.passages import LONGEST, SHORTEST, Passage, passages, permissive, shortened
from finetune.reranker.questions import Asked, asked, plain, questioned
from retrieval.evaluation.corpus import questions

DOCSTRING = (
    "Return the depth of the sea at a place.\n\nThe place is given by two numbers of degrees. "
    "Depths are measured in metres below the surface of a calm sea.\n\n"
    "Raises:\n    ValueError: the place is on land, where no sea can be measured."
)
SEA = Passage("sea", "depth_of_sea", DOCSTRING)


class Named:
    """A distribution with that metadata."""

    def __init__(self, **json: object) -> None:
        self.metadata = type("Metadata", (), {"json": json})


def test_only_permissive_licences() -> None:
    assert permissive(Named(license_expression="MIT OR Apache-2.0"))  # type: ignore[arg-type]
    assert permissive(Named(classifier=["License :: OSI Approved :: BSD License"]))  # type: ignore[arg-type]
    for other in ("LGPL-3.0-only", "MPL-2.0 AND MIT", "Intel End User License Agreement", "", None):
        assert not permissive(Named(license=other))  # type: ignore[arg-type]


def test_no_package_that_the_evaluation_asks_about() -> None:
    held_out = asked_about()
    assert held_out == {question.package for question in questions() if question.package}
    first = list(islice(passages(held_out, 3), 120))
    assert len({passage.package for passage in first}) > 20
    assert not {passage.package for passage in first} & {text.canonical(name) for name in held_out}
    assert all(SHORTEST <= len(passage.text) <= LONGEST for passage in first)


def test_docstrings_are_read_and_nothing_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "deep.py"
    body = "\n    ".join(DOCSTRING.splitlines())
    file.write_text(f'raise SystemExit\n\n\ndef depth_of_sea():\n    """{body}"""\n', "utf-8")
    (tmp_path / "broken.py").write_text("def (", "utf-8")
    found = list(text._of_files("sea", [tmp_path / "broken.py", tmp_path / "none.py", file, file], 9))
    assert found == [SEA]


def test_long_docstrings_end_with_a_paragraph_and_code_is_no_prose() -> None:
    assert shortened("word " * 100 + "\n\n" + "other " * 2000) == ("word " * 100).strip()
    assert shortened("short") == shortened("0x1F, " * 100) == ""


def test_questions_repeat_themselves_for_a_seed_only() -> None:
    many = [SEA] * 20
    assert list(asked(many, 1)) == list(asked(many, 1)) != list(asked(many, 2))


def test_a_question_is_mostly_taken_out_of_its_answer() -> None:
    made = [each for each in asked([SEA] * 200, 1) if "metres" in each.question]
    kept = sum("measured in metres" in each.answer for each in made)
    assert 0.1 < kept / len(made) < 0.5
    assert all(each.place < 200 for each in made)


@pytest.mark.parametrize("sentence", ["Return the depth of the sea.", "Compute a depth.", "A place that is deep."])
def test_statements_become_questions(sentence: str) -> None:
    made = {questioned(random.Random(seed), sentence) for seed in range(60)}
    assert len(made) > 3
    assert any(each.endswith("?") for each in made)
    assert not any("  " in each for each in made)


def test_markup_goes() -> None:
    assert plain("See :class:`~a.B` or ``code``\nand **this**.") == "See a.B or code and this"


def test_packages_are_kept_apart_whole() -> None:
    found = [Passage(f"p{number}", "depth_of_sea", DOCSTRING) for number in range(60)]
    learnt, apart = split(found, 1000)
    packages = [{found[each.place].package for each in part} for part in (learnt, apart)]
    assert packages[0]
    assert packages[1]
    assert not packages[0] & packages[1]
    assert isinstance(learnt[0], Asked)
