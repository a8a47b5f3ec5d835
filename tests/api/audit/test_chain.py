"""Whatever is done to a chain is found, and found where it was done; a whole chain has no fault."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.audit import chain
from api.audit.chain import Entry, Fault, Trace, verify
from tests.api.audit.chains import chained, head_of, made, rehashed

Touched = tuple[list[Entry], set[int], set[Trace]]
"""The chain as it is stored now, the numbers that a fault may name, and the traces that may be told."""
FIELDS = ("actor", "action", "target", "outcome", "address", "request_id", "details")


def edited(entries: list[Entry], at: int, name: str = "target") -> Touched:
    entries[at] = replace(entries[at], **{name: getattr(entries[at], name) + "x"})
    return entries, {at + 1}, {Trace.EDITED}


def edited_and_rehashed(entries: list[Entry], at: int) -> Touched:
    entries[at] = rehashed(replace(entries[at], outcome="refused"))
    return entries, {at + 1}, {Trace.REPLACED, Trace.HEAD}


def given_another_hash(entries: list[Entry], at: int) -> Touched:
    entries[at] = replace(entries[at], hash=b"\0" * 32)
    return entries, {at + 1}, {Trace.EDITED}


def given_another_link(entries: list[Entry], at: int) -> Touched:
    entries[at] = replace(entries[at], previous_hash=b"\0" * 32)
    return entries, {at + 1}, {Trace.RELINKED}


def put_in_its_place(entries: list[Entry], at: int) -> Touched:
    """Another entry that fits itself and continues nothing."""
    entries[at] = rehashed(replace(entries[at], previous_hash=b"\1" * 32, actor="somebody"))
    return entries, {at + 1}, {Trace.REPLACED, Trace.HEAD}


def redated(entries: list[Entry], at: int) -> Touched:
    entries[at] = replace(entries[at], created_at=entries[at].created_at.replace(year=2020))
    return entries, {at + 1}, {Trace.EDITED}


def deleted(entries: list[Entry], at: int) -> Touched:
    del entries[at]
    return entries, {at + 1}, {Trace.MISSING}


def deleted_and_renumbered(entries: list[Entry], at: int) -> Touched:
    moved = [replace(entry, seq=entry.seq - 1) for entry in entries[at + 1 :]]
    return [*entries[:at], *moved], set(range(at + 1, len(entries) + 1)), {Trace.EDITED, Trace.MISSING}


def swapped(entries: list[Entry], at: int) -> Touched:
    """Two neighbours (the last with the first) change places."""
    other = (at + 1) % len(entries)
    one, two = entries[at], entries[other]
    entries[at], entries[other] = replace(two, seq=one.seq), replace(one, seq=two.seq)
    return entries, {at + 1, other + 1}, {Trace.EDITED}


def listed_out_of_order(entries: list[Entry], at: int) -> Touched:
    other = (at + 1) % len(entries)
    low, high = sorted((at, other))
    entries[low], entries[high] = entries[high], entries[low]
    return entries, set(range(low + 1, high + 2)), {Trace.MISSING, Trace.MISPLACED}


def listed_twice(entries: list[Entry], at: int) -> Touched:
    entries.insert(at + 1, entries[at])
    return entries, {at + 1}, {Trace.MISPLACED}


def inserted(entries: list[Entry], at: int) -> Touched:
    """A new entry between two others, those after it renumbered."""
    new = rehashed(replace(entries[at], actor="somebody"))
    moved = [replace(entry, seq=entry.seq + 1) for entry in entries[at:]]
    return [*entries[:at], new, *moved], set(range(at + 1, len(entries) + 2)), {
        Trace.REPLACED, Trace.EDITED, Trace.BEYOND, Trace.HEAD,
    }  # fmt: skip


def appended_past_the_head(entries: list[Entry], at: int) -> Touched:
    last = entries[-1]
    return [*entries, *chained([replace(last, seq=last.seq + 1)], last.hash)], {last.seq + 1}, {Trace.BEYOND}


def cut(entries: list[Entry], at: int) -> Touched:
    return entries[:at], set(range(at + 1, len(entries) + 1)), {Trace.MISSING}


def from_another_chain(entries: list[Entry], at: int) -> Touched:
    other = made([entry.target for entry in entries], "org_other")
    entries[at] = other[at]
    return entries, {at + 1}, {Trace.MISPLACED, Trace.MISSING}


DEEDS: list[Callable[[list[Entry], int], Touched]] = [
    edited, edited_and_rehashed, given_another_hash, given_another_link, put_in_its_place, redated, deleted,
    deleted_and_renumbered, swapped, listed_out_of_order, listed_twice, inserted, appended_past_the_head, cut,
    from_another_chain,
]  # fmt: skip


def check(entries: list[Entry], deed: Callable[[list[Entry], int], Touched], at: int) -> None:
    """The deed is found, and every fault lies where it was done."""
    head = head_of(entries)
    stored, where, traces = deed(list(entries), at)
    faults = verify(stored, head)
    assert faults, (deed.__name__, at)
    assert {fault.trace for fault in faults} <= traces, (deed.__name__, at, faults)
    assert numbers(faults) <= where, (deed.__name__, at, faults)


def numbers(faults: list[Fault]) -> set[int]:
    return {number for fault in faults for number in range(fault.seq, fault.last + 1)}


TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=10, max_size=200)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, share=st.floats(0, 1, exclude_max=True), deed=st.sampled_from(DEEDS))
def test_every_deed_is_found_where_it_was_done(
    texts: list[str], share: float, deed: Callable[[list[Entry], int], Touched]
) -> None:
    entries = made(texts)
    assert verify(entries, head_of(entries), {entry.seq: entry.hash for entry in entries}) == []
    check(entries, deed, int(share * len(entries)))


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_every_deed_at_every_place_of_a_short_chain(deed: Callable[[list[Entry], int], Touched]) -> None:
    entries = made([str(number) for number in range(12)])
    for at in range(len(entries)):
        check(entries, deed, at)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_counts(name: str) -> None:
    entries = made(["a", "b", "c"])
    stored, _, _ = edited(list(entries), 1, name)
    assert [(fault.seq, fault.trace) for fault in verify(stored, head_of(entries))] == [(2, Trace.EDITED)]


def test_fields_cannot_flow_into_each_other() -> None:
    one, two = (made(["x"])[0] for _ in range(2))
    one, two = replace(one, actor="a", action="bc"), replace(two, actor="ab", action="c")
    assert chain.digest(one, b"") != chain.digest(two, b"")


@pytest.mark.deep
def test_ten_thousand_entries() -> None:
    entries = made([str(number) for number in range(10_000)])
    places = random.Random(8)
    for deed in DEEDS:
        for at in {0, 1, 9_998, 9_999, *(places.randrange(10_000) for _ in range(8))}:
            check(entries, deed, at)


def test_a_chain_without_its_head() -> None:
    entries = made(["a", "b"])
    assert [(fault.seq, fault.trace) for fault in verify(entries, None)] == [(2, Trace.HEAD)]
    assert verify([], None) == []


def test_only_an_anchor_finds_a_chain_that_was_cut_with_its_head() -> None:
    entries = made([str(number) for number in range(20)])
    anchors = {5: entries[4].hash, 20: entries[19].hash}
    stored = entries[:12]
    assert verify(stored, head_of(stored)) == []
    (fault,) = verify(stored, head_of(stored), anchors)
    assert (fault.seq, fault.last, fault.trace) == (13, 20, Trace.MISSING)
    (fault,) = verify([], None, anchors)
    assert (fault.seq, fault.last, fault.trace) == (1, 20, Trace.MISSING)


def test_only_an_anchor_finds_a_chain_that_was_written_anew() -> None:
    entries = made([str(number) for number in range(20)])
    anchors = {5: entries[4].hash, 10: entries[9].hash, 20: entries[19].hash}
    edit = replace(entries[7], actor="somebody")
    stored = [*entries[:7], *chained([edit, *entries[8:]], entries[6].hash)]
    assert verify(stored, head_of(stored)) == []
    (fault,) = verify(stored, head_of(stored), anchors)
    assert (fault.seq, fault.last, fault.trace) == (6, 10, Trace.REWRITTEN)


def test_a_head_that_was_set_back_alone() -> None:
    entries = made(["a", "b", "c"])
    faults = verify(entries, head_of(entries[:2]))
    assert [(fault.seq, fault.trace) for fault in faults] == [(3, Trace.BEYOND)]
    faults = verify(entries, head_of(entries[:2]), {3: entries[2].hash})
    assert [(fault.seq, fault.trace) for fault in faults] == [(2, Trace.HEAD)]
