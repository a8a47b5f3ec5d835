from retrieval.evaluation.corpus import questions, sources


def test_each_answer_stands_in_its_document_and_in_no_other() -> None:
    documents = {source.package: source.text for source in sources()}
    assert len(documents) > 150
    asked = questions()
    assert len({question.question for question in asked}) == len(asked) >= 60
    for question in asked:
        if question.package is not None:
            found = [name for name, text in documents.items() if question.answered_by(name, text)]
            assert found == [question.package], question


def test_some_questions_have_no_answer() -> None:
    unanswerable = [question for question in questions() if question.answer is None]
    assert len(unanswerable) >= 5
    assert not any(question.package or question.answered_by("tqdm", "text") for question in unanswerable)
