"""A model replica: a Serve actor that holds one backend and answers calls on a link.

Serve starts, counts, scales and stops it; the bytes go past Serve. It does not know what kind of model it holds.
"""

import asyncio
import logging
import os

from configs import telemetry
from configs.cluster import Cluster
from configs.errors import MantaError
from configs.specs import ModelSpec
from models.wire import Backend, Call, Usage
from serving import closed_door
from serving.backends import load
from serving.link.server import StreamReply
from serving.linked import Linked
from serving.notes import Place, forget_failure, forget_place, write_failure, write_phase, write_place

log = logging.getLogger(__name__)

LAST_WORDS_S = 0.1
MAX_REASON = 500


class Replica(Linked):
    """What Serve runs; one method for slots (`lease`), one for health."""

    async def __init__(self, spec: str) -> None:  # type: ignore[misc]  # Serve awaits it
        closed_door.shut()
        self._spec = ModelSpec.model_validate_json(spec)
        self._cluster = Cluster.from_environment()
        telemetry.begin(self._cluster.configuration.general_settings.log_level)
        self._backend = await self._loaded()
        address = await self._open_door(self._cluster)
        self._report("ready")
        forget_failure(self._spec.model_name)
        write_place(Place(self._spec.model_name, self._replica, address.host, address.port, address.tls))

    async def check_health(self) -> None:
        """Serve asks; a replica that raises is replaced."""
        await self._backend.check()

    async def answer(self, call: Call, reply: StreamReply) -> None:
        """A call arrived on the link."""
        if call.path == "/metrics":
            reply.head("text/plain")
            reply.data(self._backend.metrics())
            reply.end(Usage())
            return
        self._leases.use(call.lease)
        await self._backend.answer(call, reply)

    async def __del__(self) -> None:
        """Serve calls this once all leases ended."""
        forget_place(self._replica)
        self._server.close()
        await self._backend.stop()

    async def _loaded(self) -> Backend:
        try:
            backend = load(self._spec)
            backend.on_death = self._die
            await backend.start(self._report)
        except MantaError as error:
            write_failure(self._spec.model_name, error.message)
            raise
        except Exception as error:
            write_failure(self._spec.model_name, f"{type(error).__name__}: {error}"[:MAX_REASON])
            raise
        return backend

    def _report(self, phase: str) -> None:
        write_phase(self._spec.model_name, phase)

    def _die(self) -> None:
        """The engine is gone: leave time for the last frames, then end so that Serve starts anew."""
        log.error("the engine of %s died; this replica ends", self._spec.model_name)
        asyncio.get_running_loop().call_later(LAST_WORDS_S, os._exit, 1)
