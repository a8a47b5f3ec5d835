"""Where a replica tells how far its start is: a key in Ray's own store, readable while the replica's loop is busy.

Nothing but a display depends on it.
"""

import logging

import orjson
from ray.experimental import internal_kv

log = logging.getLogger(__name__)

NAMESPACE = "manta"
PREFIX = b"phase:"


def report_phase(model: str, replica: str, phase: str) -> None:
    """Say that a replica of `model` entered `phase`; a store that is down loses the note, no more."""
    try:
        internal_kv._internal_kv_put(_key(model), orjson.dumps([replica, phase]), namespace=NAMESPACE)  # noqa: SLF001  Ray's only door
    except (RuntimeError, OSError) as error:
        log.warning("the phase %r of %s was not noted: %s", phase, model, type(error).__name__)


def read_phase(model: str) -> str | None:
    """The newest phase that a replica of `model` reported."""
    value = internal_kv._internal_kv_get(_key(model), namespace=NAMESPACE)  # noqa: SLF001  as above
    return str(orjson.loads(value)[1]) if value else None


def forget_phase(model: str) -> None:
    """The model is gone."""
    internal_kv._internal_kv_del(_key(model), namespace=NAMESPACE)  # noqa: SLF001  as above


def _key(model: str) -> bytes:
    return PREFIX + model.encode()
