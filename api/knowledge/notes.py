"""What of a file could not be read, as whoever read it noted."""

import logging

import orjson

from api.db.tables import VectorStoreFile
from api.vault.keys import DataKey
from configs.errors import Unreadable
from configs.seal import open_sealed
from retrieval.feed import notes_place

log = logging.getLogger(__name__)


def readable_notes(key: DataKey, row: VectorStoreFile) -> list[str]:
    """Sentences on what is not in a file's text; none, and a line in the log, where they do not open."""
    if row.notes is None or row.status != "completed":
        return []
    place = notes_place(row.vector_store_id, row.file_id, row.organization_id)
    try:
        found: list[str] = orjson.loads(open_sealed(key.key, row.notes, place))
    except Unreadable as error:
        log.warning("the notes on %s in %s cannot be read: %s", row.file_id, row.vector_store_id, error.message)
        return []
    return found
