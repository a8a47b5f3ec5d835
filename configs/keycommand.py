"""A keyring that a program prints, which is how any key management service is reached: by its own client.

It knows nothing of the service. The program is an argument list, never a line for a shell; its answer stays in memory.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from configs import processes
from configs.errors import ConfigurationError, Internal

TIMEOUT_S = 30.0
FRESH_S = 60.0
MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class KeyCommand:
    """The argument list."""

    argv: tuple[str, ...]

    @property
    def place(self) -> str:
        """The program's name; arguments may say more than a message should."""
        return f"the keyring of the command {Path(self.argv[0]).name!r}"

    @property
    def watched(self) -> bool:
        """It may take seconds."""
        return False

    def stamp(self) -> object:
        """The minute: nothing tells when a service's key changed."""
        return int(time.monotonic() / FRESH_S)

    def text(self) -> str:
        """What it prints.

        Raises:
            ConfigurationError: it cannot be started, fails, is slow, or prints no text.
        """
        try:
            printed = processes.ask(self.argv, timeout_s=TIMEOUT_S, cwd=Path("/"), env=os.environ, max_bytes=MAX_BYTES)
            return printed.decode()
        except Internal as error:
            msg = f"{self.place} cannot be had: {error.message}"
            raise ConfigurationError(msg) from error
        except UnicodeDecodeError:
            msg = f"{self.place} is no text: it must print lines of `<id> <base64url of 32 bytes>`"
            raise ConfigurationError(msg) from None  # the cause would hold the key
