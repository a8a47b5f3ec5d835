"""Files read in a child process with limits, so that no file can harm who asks for its text.

The child lives on for the next file, and a new one follows it when a file ended it. It is started without this
process's environment, in which keys may stand. Blocking; thread-safe, one file at a time. Formats are not known here.
"""

import functools
import os
import socket
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from configs.errors import Unavailable
from configs.frames import exchanged, framed
from configs.processes import Child, Command
from retrieval.documents import TOO_MUCH, Block, Document, Limits, Unreadable, invalid

NAME = "documents"
MODULE = "retrieval.reader"
PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
MEASURED = ("COVERAGE_", "COV_")
ENDED_FROM_OUTSIDE = (-SIGKILL, -SIGTERM)
"""By a person or for want of memory on the machine: the file may be innocent, and is tried once more."""
START_S = 60.0
ENDING_S = 10.0
"""A child whose line is closed is on its way out; on a busy machine the kernel takes its time over a large one."""


class Reader:
    """One child at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._child: Child | None = None
        self._line: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """The child, if one runs."""
        return self._child.pid if self._child is not None else None

    def read(self, data: bytes, filename: str, limits: Limits) -> Document:
        """The document that a file is.

        Raises:
            Unreadable: it has no text for us, or takes more time or memory than allowed.
            Unavailable: no child can be started.
        """
        if len(data) > limits.file_bytes:
            raise invalid(f"The file has more than {limits.file_bytes} bytes. Split it.")
        with self._turn:
            answer = self._ask(data, filename, limits) or self._ask(data, filename, limits)
        if answer is None:
            raise invalid(TOO_MUCH)
        if "code" in answer:
            raise Unreadable(answer["code"], answer["message"])
        blocks = tuple(Block(*block) for block in answer["blocks"])
        return Document(answer["title"], answer["text"], blocks, tuple(answer["notes"]))

    def close(self) -> None:
        """End the child."""
        with self._turn:
            self._end()

    def _ask(self, data: bytes, filename: str, limits: Limits) -> dict[str, Any] | None:
        """Its answer, or None where something outside ended it.

        Raises:
            Unreadable: the file ended it.
        """
        name = filename.encode(errors="replace").decode()
        question = framed({"filename": name, "limits": asdict(limits), "bytes": len(data)})
        line = self._started()
        try:
            return exchanged(line, question, data, time.monotonic() + limits.wall_s)
        except (OSError, EOFError) as error:
            late = isinstance(error, TimeoutError)
            if self._end(0.0 if late else ENDING_S) in ENDED_FROM_OUTSIDE and not late:
                return None
            raise invalid(TOO_MUCH) from error
        except BaseException:  # an answer that is still to come would belong to no later question
            self._end()
            raise

    def _started(self) -> socket.socket:
        if self._line is not None and self._child is not None and self._child.alive():
            return self._line
        self._end()
        ours, theirs = socket.socketpair()
        here = Path.cwd()
        with theirs:
            argv = (sys.executable, "-P", "-m", MODULE, str(theirs.fileno()))
            command = Command(NAME, argv, here, _environment(), here / f"{NAME}.log")
            self._child = command.spawn([theirs.fileno()])
        self._line = ours
        try:
            exchanged(ours, framed({"filename": "a.txt", "limits": {}, "bytes": 1}), b"a", time.monotonic() + START_S)
        except (OSError, EOFError) as error:
            self._end()
            raise Unavailable("The process that reads documents could not be started.", retry_after_s=5.0) from error
        return ours

    def _end(self, patience_s: float = 0.0) -> int | None:
        """End the child; how it ended, where it did so by itself within `patience_s`."""
        if self._line is not None:
            self._line.close()
            self._line = None
        child, self._child = self._child, None
        if child is None:
            return None
        child.wait(patience_s)
        code = child.exit_code()
        child.terminate(0)
        return code


@functools.cache
def shared() -> Reader:
    """This process's reader."""
    return Reader()


def read_document(data: bytes, filename: str, limits: Limits | None = None) -> Document:
    """Read a file in this process's reader; see `Reader.read`."""
    return shared().read(data, filename, limits or Limits())


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name in PASSED_ON or name.startswith(MEASURED)}
