import asyncio
import os
import pickle
from pathlib import Path

import pytest

from api.files.blobs import Blobs
from api.files.contents import Contents, Stored
from api.storage.target import Folder
from configs.errors import Unreadable
from tests.api.files.test_blobs import KEY, OTHER, TEXT, written


def test_it_reads_its_files_in_another_process_and_no_others(tmp_path: Path) -> None:
    asyncio.run(written(Blobs(Folder(tmp_path)), "blob1", TEXT))
    asyncio.run(written(Blobs(Folder(tmp_path)), "blob2", b""))
    made = Contents(
        str(tmp_path), {"file-1": Stored(KEY, "blob1", len(TEXT)), "file-2": Stored(KEY, "blob2", 0),
                        "file-3": Stored(OTHER, "blob1", len(TEXT)), "file-4": Stored(KEY, "gone", 1)},
    )  # fmt: skip
    there: Contents = pickle.loads(pickle.dumps(made))
    assert there.read("file-1") == TEXT
    assert there.read("file-2") == b""
    for name in ("file-3", "file-4", "file-5"):
        with pytest.raises(Unreadable):
            there.read(name)


def test_it_does_not_show_its_keys() -> None:
    assert os.fsencode(repr(Contents("x", {"file-1": Stored(KEY, "b", 1)}))).find(KEY.key) < 0
