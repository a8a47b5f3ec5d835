"""The shape of `search:` in the YAML."""

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.faults import Fault, refuse
from configs.scaling_specs import ActorOptions, Autoscaling
from configs.spec import Spec


class SearchSpec(Spec):
    """The FAISS deployment. Each replica holds the stores that it is asked about and follows their changes."""

    enabled: bool = Field(True, description="whether vector search runs")
    shards: int = Field(
        1, ge=1, le=64, description="parts that every store is spread over, each held by processes of its own"
    )
    autoscaling: Autoscaling = Field(Autoscaling(), description="how many processes for each shard; all hold the same")
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

    @model_validator(mode="after")
    def _awake(self) -> Self:
        if self.autoscaling.min_replicas == 0 or self.autoscaling.initial_replicas == 0:
            text = "search does not sleep: what is in memory would be read again at each wake-up; at least 1"
            refuse([Fault(("autoscaling", "min_replicas"), text)])
        return self
