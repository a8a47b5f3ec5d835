"""The shape of `search:` in the YAML, and of what a replica takes."""

from typing import Literal

from pydantic import Field

from configs.spec import Spec


class ActorOptions(Spec):
    """Ray's resource keys for one replica. CPUs are tickets, not cores: ask for fractions."""

    num_cpus: float = Field(0.1, ge=0, description="CPU tickets reserved for placement")
    num_gpus: float = Field(0.0, ge=0, description="GPUs reserved; a fraction shares one")
    memory: int | None = Field(None, ge=1, description="bytes reserved for placement")


class SearchSpec(Spec):
    """The FAISS deployment. Each replica holds the stores that it is asked about and follows their changes."""

    enabled: bool = Field(True, description="whether vector search runs")
    shards: int = Field(
        1, ge=1, le=64, description="parts that every store is spread over, each held by processes of its own"
    )
    num_replicas: int = Field(1, ge=1, le=64, description="processes for each shard; all hold the same")
    store_bytes: int | None = Field(
        None,
        ge=1,
        description="most that exact vectors of one store take; a larger one is quantized. Unset: no limit",
    )
    memory_bytes: int | None = Field(
        None,
        ge=1,
        description="about the most that all stores in one process take together; those asked least recently leave."
        " Unset: no limit; half of what the process may use is sensible",
    )
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="where the index lives; `auto` takes a free GPU")
    ray_actor_options: ActorOptions = Field(ActorOptions(), description="what the replica takes")
