"""Notes that replicas leave in Ray's own store: how far a start is, and where a replica listens.

The store can be read and written while a replica's loop is busy loading, and from every process. No answer depends on a
note: one that is lost or stale costs a line on a page, or a search that waits until its replica has read a new index.
"""

import logging
from dataclasses import dataclass
from typing import Any

import orjson
from ray.experimental import internal_kv

log = logging.getLogger(__name__)

NAMESPACE = "manta"
PHASE = "phase:"
PLACE = "place:"
FAILURE = "failure:"


@dataclass(frozen=True, slots=True)
class Place:
    """A replica of `model` that answers at an address; of a part of Manta where `label` says so."""

    model: str
    replica: str
    host: str
    port: int
    tls: bool
    label: str = "model"


def write_phase(model: str, phase: str) -> None:
    """Say that a replica of `model` entered `phase`."""
    _put(PHASE + model, phase)


def read_phase(model: str) -> str | None:
    """The newest phase that a replica of `model` reported."""
    phase = _get(PHASE + model)
    return None if phase is None else str(phase)


def write_failure(model: str, reason: str) -> None:
    """Say why a replica of `model` could not start."""
    _put(FAILURE + model, reason)


def read_failure(model: str) -> str | None:
    """Why the newest replica that could not start did not."""
    reason = _get(FAILURE + model)
    return None if reason is None else str(reason)


def forget_failure(model: str) -> None:
    """A replica of `model` started."""
    _delete(FAILURE + model)


def write_place(place: Place) -> None:
    """Say where a replica listens."""
    _put(PLACE + place.replica, [place.model, place.replica, place.host, place.port, place.tls, place.label])


def forget_place(replica: str) -> None:
    """The replica is gone."""
    _delete(PLACE + replica)


def forget_phase(model: str) -> None:
    """The model is gone."""
    _delete(PHASE + model)
    _delete(FAILURE + model)


def places() -> list[Place]:
    """Where replicas listen; some may be gone."""
    found = [_get(key) for key in _keys(PLACE)]
    return [Place(*place) for place in found if place is not None]


# internal_kv has no public names; it is Ray's only door to the store, and this is our only door to it.


def _put(key: str, value: object) -> None:
    try:
        internal_kv._internal_kv_put(key, orjson.dumps(value), namespace=NAMESPACE)  # noqa: SLF001
    except (RuntimeError, OSError, ValueError) as error:
        log.warning("the note %r was not written: %s", key, type(error).__name__)


def _get(key: str) -> Any:  # noqa: ANN401  any JSON
    value = internal_kv._internal_kv_get(key, namespace=NAMESPACE)  # noqa: SLF001
    return orjson.loads(value) if value else None


def _delete(key: str) -> None:
    internal_kv._internal_kv_del(key, namespace=NAMESPACE)  # noqa: SLF001


def _keys(prefix: str) -> list[str]:
    return [key.decode() for key in internal_kv._internal_kv_list(prefix, namespace=NAMESPACE)]  # noqa: SLF001
