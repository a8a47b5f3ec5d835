from hypothesis import given
from hypothesis import strategies as st

from retrieval.feed import Changes, SealedChunk
from retrieval.pages import pack, unpack

numbers = st.integers(0, 2**63 - 1)
names = st.text("abc-123", min_size=1, max_size=9)
chunks = st.builds(
    SealedChunk, numbers, names, st.integers(0, 2**31 - 1), st.binary(max_size=40), st.binary(max_size=40)
)
pages = st.builds(
    Changes, numbers, numbers, st.lists(chunks), st.lists(numbers), st.lists(st.tuples(names, st.binary(max_size=9))),
    st.none() | st.floats(0, 2e9),
)  # fmt: skip


@given(st.none() | pages)
def test_a_page_arrives_as_it_was_read(page: Changes | None) -> None:
    assert unpack(pack(page)) == page
