"""Where data of people can lie besides the tables, and what an erasure does there.

The tables have `api.privacy.classes`. A new folder of the data directory fails a test until it has its line here, and
so does the first use of a part that holds nothing of people yet: whoever makes it hold some adds an eraser
(`api.privacy.erase.ERASERS`) first.
"""

FOLDERS = {
    "postgres": "the tables and their log: an erasure destroys the key and removes the rows",
    "usage": "rows of usage on their way to PostgreSQL (at most a second, while it is up): ids and counts, no content",
    "files": "uploads, sealed: an erasure destroys the key and removes them",
    "logs": "no content, no address and no name; rotated by size",
    "secrets": "keys, none of a person",
    "valkey": "nothing: no part writes to it yet",
    "search": "snapshots of vector stores, sealed: an erasure destroys the key, and they go within a minute",
    "models": "weights as they were fetched or shipped",
    "programs": "programs",
    "lock": "who holds the directory: a process",
    "unfinished": "that a restore was not finished",
}
"""What lies in the data directory, by the name that `configs.datadir.Layout` has for it."""

NOT_YET = {
    "configs.valkey": "caches",
    "finetune": "training sets and adapters",
}
"""Parts that hold nothing of people as long as nobody calls them for people, and what they would hold."""
