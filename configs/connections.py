"""How many connections to PostgreSQL an installation takes: a pool that cannot be filled fails under load only."""

from configs.specs import Configuration

POOL_SIZE = 4
"""Of an ingress: units of work at once."""
READ_POOL_SIZE = 2
"""Of an ingress on the replica of DATABASE_READ_URL: long reads at once."""
LISTENER = 1
"""Each ingress, and `control`, hears what changes on a connection of its own."""
FEED_POOL_SIZE = 4
"""Of `control`: search replicas that read changes at once."""
INGEST_POOL_SIZE = 3
"""Of `control`: a batch of chunks that is written, leases, and claims."""
CONTROL = 2 + 1 + FEED_POOL_SIZE + INGEST_POOL_SIZE + 1 + 1 + 2 * LISTENER
"""The pool of `control`, its jobs, the feed of search, ingest, stores embedded anew, and the lock of the leader."""
BESIDE = 8
"""Backups, anchors of the audit log, and commands that are run beside: `manta keys`, `manta db backup`."""
EMBEDDED_LEAST = 100


def needed(configuration: Configuration) -> int:
    """Connections at the same time, an update of the ingress included: old and new run side by side."""
    per_ingress = POOL_SIZE + LISTENER
    return per_ingress * (configuration.ingress.num_replicas + 1) + CONTROL + BESIDE


def embedded(configuration: Configuration) -> int:
    """What the embedded server allows."""
    return max(EMBEDDED_LEAST, needed(configuration) + BESIDE)


def reading(configuration: Configuration) -> int:
    """Connections to the replica of DATABASE_READ_URL at the same time, an update of the ingress included."""
    return READ_POOL_SIZE * (configuration.ingress.num_replicas + 1)
