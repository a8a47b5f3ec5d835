import numpy as np

from retrieval.index.protocol import Vectors
from retrieval.part import Making, Part


def unit(*angles: float) -> Vectors:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], np.float32)


def part_of(*chunks: tuple[int, Vectors]) -> Part:
    part = Part.empty(2)
    for chunk_id, vectors in chunks:
        part.add_rows(vectors)
        part.add(chunk_id, len(vectors), [f"t{chunk_id}"], file=chunk_id % 3)
    return part


def test_a_chunk_counts_once_by_its_best_window() -> None:
    part = part_of((7, unit(0.0, 0.1, 0.2)), (8, unit(0.3)), (9, unit(3.0)))
    places, scores = part.dense(unit(0.1)[0], 2, None)
    assert [part.chunk_ids[place] for place in places] == [7, 8]
    np.testing.assert_allclose(scores, np.cos([0.0, 0.2]), atol=1e-5)


def test_what_is_removed_is_found_no_more_and_removed_once() -> None:
    part = part_of((7, unit(0.0, 0.1)), (8, unit(0.3)))
    assert part.remove(7)
    assert not part.remove(7)
    assert not part.remove(99)
    assert part.alive().tolist() == [False, True]
    assert part.dense(unit(0.0)[0], 5, None)[0].tolist() == [1]
    assert part.remove(8)
    assert not len(part.dense(unit(0.0)[0], 5, None)[0])


def test_merged_parts_keep_order_files_windows_and_words() -> None:
    parts = [part_of((30, unit(0.0, 1.0)), (10, unit(2.0))), part_of((20, unit(3.0)), (5, unit(0.5)))]
    parts[1].remove(20)
    melted = Part.merged(parts, [part.alive() for part in parts], 2, Making())
    assert melted.chunk_ids.tolist() == [5, 10, 30]
    assert melted.files.tolist() == [5 % 3, 10 % 3, 30 % 3]
    assert melted.starts.tolist() == [0, 1, 2, 4]
    np.testing.assert_array_equal(melted.vectors_of(2), unit(0.0, 1.0))
    assert {term: documents.tolist() for term, (documents, _) in melted.lexicon.postings.items()} == {
        "t30": [2], "t10": [1], "t5": [0]
    }  # fmt: skip
    assert melted.remove(10)
    assert not melted.remove(20)
    assert melted.dense(unit(2.0)[0], 3, None)[0].tolist() == [2, 0]


def test_few_allowed_chunks_are_compared_one_by_one() -> None:
    part = part_of(*[(number, unit(number / 10)) for number in range(20)])
    allowed = np.zeros(20, bool)
    allowed[[3, 15]] = True
    assert part.dense(unit(1.4)[0], 5, allowed)[0].tolist() == [15, 3]
