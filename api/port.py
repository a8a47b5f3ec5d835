"""The front port's socket, wherever it comes from.

On one machine the launcher holds it and hands it over (SCM_RIGHTS), so that all replicas accept from one queue: none is
refused while a replica restarts, and the port is never free for somebody else. Without a launcher a replica binds the
port itself, with SO_REUSEPORT so that replicas can share it.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from configs.specs import GeneralSettings

log = logging.getLogger(__name__)

BACKLOG = 4096
DRAIN = b"drain\n"


def bind(settings: GeneralSettings, *, reuse_port: bool) -> socket.socket:
    """A listening socket on the configured address.

    Raises:
        OSError: it is taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((settings.host, settings.port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


class HandedPort:
    """The launcher's socket, and the line on which it says when to drain."""

    def __init__(self, listener: socket.socket, line: socket.socket) -> None:
        self.listener = listener
        self._line = line

    @classmethod
    async def receive(cls, path: Path) -> "HandedPort":
        """Ask the launcher at `path` for the port.

        Raises:
            OSError: no launcher is there.
        """
        return await asyncio.to_thread(cls._receive, path)

    @classmethod
    def _receive(cls, path: Path) -> "HandedPort":
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(str(path))
        _, descriptors, _, _ = socket.recv_fds(line, 16, 1)
        if not descriptors:
            msg = "the launcher closed the line without handing over the port"
            raise ConnectionError(msg)
        listener = socket.socket(fileno=descriptors[0])
        listener.setblocking(False)
        line.setblocking(False)
        return cls(listener, line)

    def accepting(self) -> None:
        """Tell the launcher that this process answers on the port from now on."""
        self._line.send(b"accepting\n")

    def watch(self, drain: Callable[[], object]) -> None:
        """Call `drain` when the launcher asks for it; a launcher that dies changes nothing."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                word = self._line.recv(64)
            except BlockingIOError:
                return
            if not word:
                loop.remove_reader(self._line)
            elif DRAIN in word:
                drain()

        loop.add_reader(self._line, read)

    def drained(self) -> None:
        """Tell the launcher that nothing is running here any more."""
        self._line.send(b"drained\n")
