"""The replica's book of leases: which slots are out, and when each ends.

A lease is one streaming Serve call that stays open while its holder may send work here, so that Serve's own queueing,
autoscaling and draining count it (docs/decisions/0003). It does not know what work is sent.
"""

import asyncio

UNUSED_AFTER_S = 5.0


class LeaseBook:
    """Leases that this replica gave out."""

    def __init__(self, unused_after_s: float = UNUSED_AFTER_S) -> None:
        self._unused_after_s = unused_after_s
        self._ended: dict[str, asyncio.Event] = {}
        self._unused: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._ended)

    def open(self, lease: str) -> asyncio.Event:
        """Enter a lease; the event is set when it ends. One that no call ever uses ends by itself."""
        ended = asyncio.Event()
        self._ended[lease] = ended
        self._unused[lease] = asyncio.get_running_loop().call_later(self._unused_after_s, self.release, lease)
        return ended

    def use(self, lease: str) -> None:
        """A call arrived on this lease."""
        timer = self._unused.pop(lease, None)
        if timer is not None:
            timer.cancel()

    def release(self, lease: str) -> None:
        """End a lease; a second time does nothing."""
        self.use(lease)
        ended = self._ended.pop(lease, None)
        if ended is not None:
            ended.set()
