from pathlib import Path

import orjson
import pytest

from bench import report
from bench.report import Report, Table

FOUND = Report("chat", "Chat", [Table(["c", "tok/s"], [["1", "500"], ["64", "6000"]])], ["all well"], {"pairs": [1]})


def test_a_table_is_aligned_markdown() -> None:
    assert FOUND.tables[0].markdown().splitlines() == [
        "| c  | tok/s |",
        "|----|-------|",
        "| 1  | 500   |",
        "| 64 | 6000  |",
    ]


def test_a_section_is_replaced_and_others_stay() -> None:
    text = report.with_section("# Results\n", "chat", "old \\1")
    text = report.with_section(text, "mock", "mock stays")
    text = report.with_section(text, "chat", "new \\1")
    assert text == (
        "# Results\n\n<!-- bench chat -->\nnew \\1\n<!-- end chat -->\n\n"
        "<!-- bench mock -->\nmock stays\n<!-- end mock -->\n"
    )


def test_the_first_section_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    report.write_section(FOUND, "a machine", path)
    report.write_section(FOUND, "another machine", path)
    text = path.read_text("utf-8")
    assert text.startswith(report.PREFACE)
    assert text.count("## Chat") == 1
    assert "another machine" in text
    assert "- all well" in text


def test_json_holds_machine_and_data() -> None:
    facts = report.machine()
    content = orjson.loads(FOUND.json(facts))
    assert content["pairs"] == [1]
    assert content["machine"]["cores"] >= 1
    assert str(content["machine"]["commit"]) in report.machine_line(facts)


@pytest.mark.parametrize(("errors", "text"), [({}, "0"), ({"cut": 2, "a": 1}, "1 a, 2 cut")])
def test_errors_by_kind(errors: dict[str, int], text: str) -> None:
    assert report.kinds(errors) == text


def test_numbers() -> None:
    assert (report.number(None), report.number(1.25, 2), report.interval((1.0, 0.9, 1.1))) == (
        "-",
        "1.25",
        "1.00 [0.90, 1.10]",
    )
