"""`/metrics`: one page from three sources, each metric's head once before all its samples."""

import asyncio

from prometheus_client import generate_latest

from api.metrics import REGISTRY
from api.services import Services
from serving import telemetry


async def exposition(services: Services) -> bytes:
    """The ingress's, the engines' and Ray's metrics as Prometheus text."""
    engines, ray = await asyncio.gather(telemetry.engine_pages(services.gateway.links), telemetry.ray_pages())
    return merge([generate_latest(REGISTRY), *engines, *ray])


def merge(pages: list[bytes]) -> bytes:
    """One page; a metric that stands on several keeps its first HELP and TYPE."""
    heads: dict[bytes, dict[bytes, bytes]] = {}
    samples: dict[bytes, list[bytes]] = {}
    for page in pages:
        family = b""
        for line in page.splitlines():
            if line.startswith((b"# HELP ", b"# TYPE ")):
                _, what, family = line.split(b" ", 3)[:3]
                heads.setdefault(family, {}).setdefault(what, line)
            elif line and not line.startswith(b"#"):
                samples.setdefault(family, []).append(line)
    lines = [line for family in samples for line in [*heads.get(family, {}).values(), *samples[family]]]
    return b"\n".join(lines) + b"\n"
