import numpy as np

from retrieval.numbering import Numbering


def test_a_number_is_used_again_and_names_come_back() -> None:
    numbering = Numbering()
    assert [numbering.number(name) for name in ("a", "b", "c", "b")] == [0, 1, 2, 1]
    held = np.array([True, False, True])
    assert numbering.release(held) == [1]
    assert numbering.release(held) == []
    again = Numbering.restored(numbering.names(held))
    for each in (numbering, again):
        assert [each.number(name) for name in ("d", "c", "b")] == [1, 2, 3]
        assert len(each) == 4
