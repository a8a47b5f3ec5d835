"""How many replicas a deployment has, and what each takes: Ray Serve's keys, spelled as Ray spells them."""

from typing import Self

from pydantic import Field, model_validator

from configs.faults import Fault, refuse
from configs.spec import Spec


class ActorOptions(Spec):
    """Ray's resource keys for one replica. CPUs are tickets, not cores: ask for fractions."""

    num_cpus: float = Field(0.1, ge=0, description="CPU tickets reserved for placement")
    num_gpus: float = Field(0.0, ge=0, description="GPUs reserved; a fraction shares one")
    memory: int | None = Field(None, ge=1, description="bytes reserved for placement")


class Autoscaling(Spec):
    """Ray Serve's autoscaling keys. `min_replicas: 0` sleeps when idle and holds the first request while it wakes."""

    min_replicas: int = Field(1, ge=0, le=1000, description="replicas kept when nothing happens; 0 frees everything")
    max_replicas: int = Field(1, ge=1, le=1000, description="replicas under load")
    initial_replicas: int | None = Field(
        None, ge=0, le=1000, description="replicas at the start; unset: `min_replicas`"
    )
    target_ongoing_requests: float = Field(64.0, gt=0, description="requests in flight that one replica should carry")
    upscale_delay_s: float = Field(5.0, ge=0, description="seconds that load must last before a replica is added")
    downscale_delay_s: float = Field(300.0, ge=0, description="seconds of less load before a replica is removed")
    downscale_to_zero_delay_s: float | None = Field(
        None, ge=0, description="idle seconds before the last replica goes; unset: `downscale_delay_s`"
    )
    metrics_interval_s: float = Field(2.0, gt=0, description="seconds between two load reports of a replica")
    look_back_period_s: float = Field(10.0, gt=0, description="seconds over which load is averaged")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high, first = self.min_replicas, self.max_replicas, self.initial_replicas
        if low > high:
            refuse([Fault(("min_replicas",), f"'min_replicas' ({low}) is above 'max_replicas' ({high})")])
        if first is not None and not low <= first <= high:
            text = f"'initial_replicas' ({first}) is not between 'min_replicas' ({low}) and 'max_replicas' ({high})"
            refuse([Fault(("initial_replicas",), text)])
        return self
