import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadRequest
from retrieval.collection import Collection, Entry, Query
from retrieval.filters import parse
from retrieval.index.protocol import Shape, Vectors

D = 8


def vectors_of(seed: int, count: int = 1, dimensions: int = D) -> Vectors:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def entry(chunk_id: int, seed: int, windows: int = 1, terms: Sequence[str] = (), file_id: str = "f") -> Entry:
    return Entry(chunk_id, vectors_of(seed, windows), terms, file_id)


def cosine(query: Vectors, windows: Vectors) -> float:
    scores = windows @ query / np.linalg.norm(windows, axis=1) / np.linalg.norm(query)
    return float(np.clip(scores.max(), 0, 1))


CHANGE = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 15), st.integers(0, 999), st.integers(1, 3)),
    st.tuples(st.just("remove"), st.integers(0, 15), st.just(0), st.just(0)),
    st.tuples(st.just("compact"), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("describe"), st.integers(0, 3), st.integers(0, 2), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(changes=st.lists(CHANGE, max_size=25), k=st.integers(1, 20), asked=st.integers(-1, 2), seed=st.integers(0, 99))
def test_search_is_brute_force_after_any_changes(changes: Any, k: int, asked: int, seed: int) -> None:
    collection = Collection(Shape(D))
    truth: dict[int, Entry] = {}
    files: dict[str, int] = {}
    for seq, (what, one, other, windows) in enumerate(changes, 1):
        if what == "add":
            truth[one] = entry(one, other, windows, file_id=f"f{one % 4}")
            assert collection.apply(seq, [truth[one]])
        elif what == "remove":
            truth.pop(one, None)
            assert collection.apply(seq, removed=[one])
        elif what == "describe":
            files[f"f{one}"] = other
            assert collection.apply(seq, described={f"f{one}": {"n": other}})
        else:
            assert collection.compact()
            files = {name: value for name, value in files.items() if name in {each.file_id for each in truth.values()}}
    query = vectors_of(seed)[0]
    wanted = parse({"type": "eq", "key": "n", "value": asked}) if asked >= 0 else None
    hits = collection.search(Query(query, filter=wanted, k=k))
    allowed = {id_: each for id_, each in truth.items() if asked < 0 or files.get(each.file_id) == asked}
    best = sorted((cosine(query, each.vectors) for each in allowed.values()), reverse=True)[:k]
    assert collection.size == len(truth)
    assert len({hit.chunk_id for hit in hits}) == len(hits) == min(k, len(allowed))
    np.testing.assert_allclose([hit.dense for hit in hits], best, atol=1e-5)
    np.testing.assert_allclose(
        [hit.dense for hit in hits], [cosine(query, truth[h.chunk_id].vectors) for h in hits], atol=1e-5
    )


def test_an_old_change_is_passed_over() -> None:
    collection = Collection(Shape(D))
    assert collection.apply(5, [entry(1, 1)])
    assert not collection.apply(5, removed=[1])
    assert not collection.apply(4, [entry(2, 2)])
    assert (collection.seq, collection.size) == (5, 1)


def test_words_and_vectors_find_together_what_each_alone_would_not_lead() -> None:
    collection = Collection(Shape(D))
    near, far = vectors_of(1), -vectors_of(1)
    bill = ["invoice", "42"]
    collection.apply(1, [Entry(1, near, ["other"], "f"), Entry(2, near + 0.1, bill, "f"), Entry(3, far, bill, "f")])
    both = collection.search(Query(near[0], ["invoice", "42"]))
    assert both[0].chunk_id == 2
    assert {hit.chunk_id for hit in both} == {1, 2, 3}
    assert collection.search(Query(near[0], ["invoice"], weights=(1, 0)))[0].chunk_id == 1
    words = collection.search(Query(None, ["invoice", "42"]))
    assert {hit.chunk_id for hit in words} == {2, 3}
    assert all(hit.dense == 0 < hit.lexical < 1 for hit in words)


def test_a_threshold_leaves_out_what_is_not_relevant() -> None:
    collection = Collection(Shape(D))
    collection.apply(1, [Entry(1, vectors_of(1), [], "f"), Entry(2, -vectors_of(1), [], "f")])
    hits = collection.search(Query(vectors_of(1)[0], threshold=0.5))
    assert [(hit.chunk_id, round(hit.score, 4)) for hit in hits] == [(1, 1.0)]
    assert collection.search(Query(vectors_of(2)[0], threshold=0.999)) == []


def test_different_results_come_before_a_repetition() -> None:
    collection = Collection(Shape(D))
    query, other = vectors_of(1)[0], vectors_of(2)[0]
    collection.apply(1, [
        Entry(1, query[None], [], "f"), Entry(2, query[None] * 2, [], "f"), Entry(3, (query + other)[None], [], "f")
    ])  # fmt: skip
    assert {hit.chunk_id for hit in collection.search(Query(query, k=2))} == {1, 2}
    assert 3 in {hit.chunk_id for hit in collection.search(Query(query, k=2, mmr_lambda=0.3))}


@pytest.mark.parametrize(
    "query",
    [
        Query(np.zeros(D, np.float32)), Query(np.ones(D + 1, np.float32)), Query(np.full(D, np.nan, np.float32)),
        Query(k=0), Query(threshold=2), Query(threshold=float("nan")), Query(weights=(0, 0)), Query(weights=(1, -1)),
        Query(mmr_lambda=2),
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused(query: Query) -> None:
    with pytest.raises(BadRequest):
        Collection(Shape(D)).search(query)


def test_a_bad_entry_changes_nothing_and_other_metrics_are_refused() -> None:
    collection = Collection(Shape(D))
    with pytest.raises(BadRequest, match="no vector"):
        collection.apply(1, [entry(1, 1), Entry(2, np.empty((0, D), np.float32), [], "f")])
    assert (collection.seq, collection.size) == (0, 0)


def large(count: int, budget_bytes: int | None) -> tuple[Collection, Vectors]:
    collection, centres = Collection(Shape(24), budget_bytes), vectors_of(0, 40, 24)
    vectors = centres[np.arange(count) % 40] + 0.5 * vectors_of(1, count, 24)
    collection.apply(1, [Entry(id_, vectors[id_ : id_ + 1], [f"w{id_ % 7}"], f"f{id_ % 10}") for id_ in range(count)])
    collection.apply(2, described={f"f{number}": {"n": number} for number in range(10)})
    assert collection.compact()
    return collection, vectors


def test_a_quantized_index_finds_nearly_all_and_its_filter_is_kept() -> None:
    collection, vectors = large(8000, 8000 * 24 * 2)
    assert "codes" in collection._parts[0].segment.state()
    scaled = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    queries, found = vectors_of(3, 30, 24) + vectors[:30], 0
    for query in queries:
        best = np.argsort(-(scaled @ query))[:10].tolist()
        found += len({hit.chunk_id for hit in collection.search(Query(query))} & set(best))
    assert found / 300 >= 0.95
    for numbers in (range(9), [3]):
        asked = parse({"type": "in", "key": "n", "value": list(numbers)})
        hits = collection.search(Query(queries[0], filter=asked))
        assert len(hits) == 10
        assert all(hit.chunk_id % 10 in numbers for hit in hits)
    collection.apply(3, removed=range(0, 8000, 2))
    assert all(hit.chunk_id % 2 for hit in collection.search(Query(queries[0], k=100)))


def test_a_rebuild_rounds_nothing_twice() -> None:
    collection, _ = large(3000, 1)
    rows = np.arange(3000)
    before = collection._parts[0].segment.vectors(rows)
    collection.apply(3, removed=[7])
    assert collection.compact()
    np.testing.assert_array_equal(collection._parts[0].segment.vectors(rows[:-1]), np.delete(before, 7, axis=0))


def test_searches_changes_and_compactions_go_side_by_side() -> None:
    collection = Collection(Shape(D))
    collection.apply(1, [entry(id_, id_, terms=["word"]) for id_ in range(300)])
    failures: list[BaseException] = []
    ended = threading.Event()

    def beside(work: Any) -> threading.Thread:
        def repeat() -> None:
            try:
                while not ended.is_set():
                    work()
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        thread = threading.Thread(target=repeat)
        thread.start()
        return thread

    def look() -> None:
        hits = collection.search(Query(vectors_of(1)[0], ["word"], k=5))
        assert len({hit.chunk_id for hit in hits}) == 5
        before = collection.seq
        hits = collection.search(Query(vectors_of(2)[0], k=200))
        assert before < 101 or all(hit.chunk_id >= 100 for hit in hits)

    threads = [beside(look), beside(look), beside(collection.compact)]
    for step in range(200):
        collection.apply(step + 2, [entry(300 + step, step, terms=["word"])], [step] if step < 100 else [])
    ended.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert collection.compact()
    assert collection.size == 400
    assert {hit.chunk_id for hit in collection.search(Query(vectors_of(1)[0], k=500))} == set(range(100, 500))


@pytest.mark.parametrize("budget_bytes", [None, 1])
def test_several_at_once_get_what_each_gets_alone(budget_bytes: int | None) -> None:
    collection, vectors = large(3000, budget_bytes)
    queries = [Query(vector, k=k) for vector, k in zip(vectors[:40], [1, 3, 10, 20] * 10, strict=True)]
    queries += [Query(vectors[0], filter=parse({"type": "eq", "key": "none", "value": 1})), Query(terms=["a"])]
    together = collection.search_each(queries)
    for query, hits in zip(queries, together, strict=True):
        alone = collection.search(query)
        assert [hit.chunk_id for hit in alone] == [hit.chunk_id for hit in hits]
        np.testing.assert_allclose([hit.score for hit in alone], [hit.score for hit in hits], atol=1e-5)


@pytest.mark.parametrize("budget_bytes", [None, 8000 * 24 * 2])
def test_what_it_takes_in_memory_is_told_about(budget_bytes: int | None) -> None:
    empty = Collection(Shape(24)).memory_bytes
    collection, _ = large(8000, budget_bytes)
    content = collection.content()
    held = sum(len(data) for part in content.parts for data in part.values())
    assert empty < held * 0.8 < collection.memory_bytes < held * 1.5
    collection.apply(3, removed=range(8000))
    assert collection.compact()
    assert collection.memory_bytes < held / 20


def test_the_same_after_it_was_saved_and_read() -> None:
    collection, _ = large(2000, None)
    assert Collection.of(collection.content()).memory_bytes == collection.memory_bytes


def test_files_that_are_gone_take_no_room() -> None:
    collection = Collection(Shape(D))
    for turn in range(5):
        added = [entry(place, place, file_id=f"f{turn}-{place}") for place in range(10)]
        collection.apply(turn + 1, added, described={each.file_id: {"turn": turn} for each in added})
        collection.compact()
    content = collection.content()
    assert len(content.files) <= 20
    assert sorted(filter(None, content.files)) == [f"f4-{place}" for place in range(10)]
    for each in (collection, Collection.of(content)):
        for turn, count in ((3, 0), (4, 10)):
            found = each.search(Query(vectors_of(1)[0], filter=parse({"type": "eq", "key": "turn", "value": turn})))
            assert len(found) == count


def test_content_is_told_without_learning_anything() -> None:
    collection = Collection(Shape(D), budget_bytes=1)
    collection.apply(1, [entry(number, number) for number in range(1100)])
    assert ["flat" in part for part in collection.content().parts] == [True]
    collection.compact()
    assert ["flat" in part for part in collection.content().parts] == [False]


def test_a_chunk_that_comes_twice_in_a_change_is_there_once() -> None:
    collection = Collection(Shape(D))
    collection.apply(1, [entry(1, 1), entry(1, 2)])
    assert collection.size == 1
    assert collection.search(Query(vectors_of(2)[0]))[0].dense > 0.99
