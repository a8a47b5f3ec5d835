import os

from api.vault.keys import DataKey, Owner
from api.vault.memory import Memory


def owner(number: int) -> Owner:
    return Owner("user", f"user_{number}", "org")


def key(number: int) -> DataKey:
    return DataKey(f"dk_{number}", os.urandom(32))


def test_a_key_is_found_by_id_and_by_owner_while_it_is_fresh() -> None:
    memory, made = Memory(fresh_s=10.0), key(1)
    memory.keep(owner(1), made, read_at=float("inf"), changes=0)
    assert memory.get("dk_1") is memory.of(owner(1)) is made
    memory.keep(owner(1), made, read_at=float("-inf"), changes=0)
    assert memory.of(owner(1)) is None
    assert len(memory) == 0


def test_the_longest_unused_key_goes_first() -> None:
    memory = Memory(max_keys=3, fresh_s=float("inf"))
    for number in range(3):
        memory.keep(owner(number), key(number), 0.0, 0)
    assert memory.get("dk_0") is not None
    memory.keep(owner(3), key(3), 0.0, 0)
    assert [memory.of(owner(number)) is not None for number in range(4)] == [True, False, True, True]
    assert len(memory) == 3


def test_an_owners_new_key_takes_the_place_of_the_old_one() -> None:
    memory = Memory(fresh_s=float("inf"))
    memory.keep(owner(1), key(1), 0.0, 0)
    memory.keep(owner(1), key(2), 0.0, 0)
    assert memory.get("dk_1") is None
    assert memory.of(owner(1)) == memory.get("dk_2")


def test_what_was_read_before_a_key_was_destroyed_is_not_kept_after_it() -> None:
    memory = Memory(fresh_s=float("inf"))
    changes = memory.changes
    memory.forget(owner(1))
    memory.keep(owner(1), key(1), 0.0, changes)
    assert memory.of(owner(1)) is None
    memory.keep(owner(1), key(1), 0.0, memory.changes)
    memory.keep(owner(2), key(2), 0.0, memory.changes)
    memory.forget(owner(1))
    assert (memory.of(owner(1)), memory.get("dk_1")) == (None, None)
    assert memory.get("dk_2") is not None
    memory.forget()
    assert len(memory) == 0


def test_nothing_is_shown() -> None:
    memory, made = Memory(), key(1)
    memory.keep(owner(1), made, 0.0, 0)
    assert repr(made) == "DataKey(id='dk_1')"
    assert repr(memory) == "Memory(1 keys)"
