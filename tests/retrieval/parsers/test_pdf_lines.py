"""Lines of a PDF's pages, as they go on."""

from retrieval.documents import Limits
from retrieval.evaluation import files
from retrieval.reading import read_document


def test_a_word_that_a_line_end_parts_is_one_word() -> None:
    document = read_document(files.pdf("An exam-\nple of a word.\nAnd a dash -\nhere."), "a.pdf", Limits())
    assert "\x02" not in document.text
    assert "An example of a word." in document.text
