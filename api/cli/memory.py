"""How much memory models need, as far as their files and arguments tell, and how much there is."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from api.cli.output import size
from configs.errors import ConfigurationError
from configs.specs import Kind, ModelSpec
from models import sources

GIB = 2**30
CPU_KV_CACHE_BYTES = GIB
"""As `models.chat.arguments` gives an engine on a CPU that was told nothing."""
CHAT_BASE_BYTES = int(2.2 * GIB)
"""Replica, engine core and worker of a starter model on a CPU, without its KV cache: seen 2.1 GiB."""
ENCODER_BASE_BYTES = int(0.9 * GIB)
"""A replica with sentence-transformers and torch."""
STACK_BYTES = int(1.5 * GIB)
"""PostgreSQL, Valkey, Ray, controller, control and ingress."""
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


def needed(spec: ModelSpec) -> int:
    """Bytes of main memory for all replicas of a model that a start makes, weights that are not here left out."""
    replicas = spec.autoscaling.initial_replicas or max(spec.autoscaling.min_replicas, 1)
    if spec.kind is not Kind.CHAT:
        return replicas * (ENCODER_BASE_BYTES + (weights(spec) or 0))
    kv_cache = spec.engine.get("kv_cache_memory_bytes", CPU_KV_CACHE_BYTES)
    return int(replicas * (CHAT_BASE_BYTES + (weights(spec) or 0) + kv_cache))


def weights(spec: ModelSpec) -> int | None:
    """Bytes of its weights; None when its files are not on this machine."""
    source = spec.params.source
    if source not in sources.BUNDLED and not Path(source).expanduser().is_dir():
        return None
    try:
        folder = sources.folder(source, spec.params.backend)
    except ConfigurationError:
        return None
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def available() -> int:
    """Bytes that may still be used: the machine's, or the container's limit where that is less."""
    free = int(psutil.virtual_memory().available)
    limit = _number(CGROUP_LIMIT)
    return free if limit is None else min(free, max(0, limit - (_number(CGROUP_USED) or 0)))


def shortage(specs: Sequence[ModelSpec], besides: int = 0) -> str | None:
    """A sentence when the models do not fit, else None."""
    wanted, free = besides + sum(map(needed, specs)), available()
    if wanted <= free:
        return None
    return f"about {size(wanted)} of memory is needed and {size(free)} is free"


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
