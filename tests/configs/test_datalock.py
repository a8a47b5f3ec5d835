import os
import threading
from collections.abc import Callable

import pytest

from configs import datalock
from configs.datadir import Layout
from configs.errors import ConfigurationError


def in_a_fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def test_a_second_holder_is_told_who_and_what_to_do(layout: Layout) -> None:
    with layout.hold(command="manta serve") as held:
        held.announce(8123)
        with pytest.raises(ConfigurationError) as refused:
            Layout(layout.data_dir).hold(command="manta serve")
    assert refused.value.message == (
        f"data directory {layout.data_dir} is in use by pid {os.getpid()} (manta serve on port 8123): "
        f"stop it with `manta stop --data-dir {layout.data_dir}` or choose another --data-dir"
    )


def test_a_holder_without_a_port_is_told_by_its_command(layout: Layout) -> None:
    with layout.hold(command="manta keys create"), pytest.raises(ConfigurationError, match=r"\(manta keys create\)"):
        layout.hold(command="manta serve")


def test_who_holds_can_be_asked_without_disturbing(layout: Layout) -> None:
    assert Layout(layout.data_dir / "absent").holder() is None
    assert layout.holder() is None
    with layout.hold(command="manta serve", port=1) as held:
        assert layout.holder() == datalock.Holder(os.getpid(), "manta serve", 1)
        held.announce(65535)
        assert layout.holder() == datalock.Holder(os.getpid(), "manta serve", 65535)
        held.announce(2)
        assert layout.holder() == datalock.Holder(os.getpid(), "manta serve", 2)
    assert layout.holder() is None


def test_the_lock_dies_with_its_holder(layout: Layout) -> None:
    ready, hold_on = os.pipe(), os.pipe()

    def hold_until_killed() -> None:
        layout.hold(command="manta serve")
        os.write(ready[1], b"x")
        os.read(hold_on[0], 1)

    pid = in_a_fork(hold_until_killed)
    os.read(ready[0], 1)
    assert layout.holder() == datalock.Holder(pid, "manta serve")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert layout.holder() is None
    layout.hold(command="manta serve").release()
    for fd in (*ready, *hold_on):
        os.close(fd)


def test_a_forked_child_does_not_hold(layout: Layout) -> None:
    found = os.pipe()

    def tell() -> None:
        os.write(found[1], b"y" if datalock.is_ours(layout.lock) else b"n")

    with layout.hold(command="manta serve"):
        pid = in_a_fork(tell)
        os.waitpid(pid, 0)
    assert os.read(found[0], 1) == b"n"
    for fd in found:
        os.close(fd)


def test_one_can_wait_for_a_short_command(layout: Layout) -> None:
    held = layout.hold(command="manta keys create")
    timer = threading.Timer(0.4, held.release)
    timer.start()
    layout.hold(command="manta serve", wait_s=60).release()
    timer.join()


def test_release_twice_does_no_harm(layout: Layout) -> None:
    held = layout.hold(command="one")
    held.release()
    with layout.hold(command="two"):
        held.release()
        assert layout.holder() == datalock.Holder(os.getpid(), "two")
