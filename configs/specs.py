"""The shapes of the YAML: frozen values, checked once at start.

Engine keys keep vLLM's spelling, autoscaling keys Ray Serve's, and the model list follows LiteLLM's shape, so that what
a reader knows from those projects holds here. This file does not know where a value came from (see `configs.catalog`).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+$")]


class Spec(BaseModel):
    """Base of every shape: unknown keys are errors and values never change after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Kind(StrEnum):
    """What a model answers: which routes reach it and which deployment hosts it."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"


class Autoscaling(Spec):
    """Ray Serve's autoscaling keys, by their own names. `min_replicas: 0` sleeps when idle."""

    min_replicas: int = Field(1, ge=0, le=1000)
    max_replicas: int = Field(1, ge=1, le=1000)
    initial_replicas: int | None = Field(None, ge=0, le=1000)
    target_ongoing_requests: float = Field(64.0, gt=0)
    upscale_delay_s: float = Field(5.0, ge=0)
    downscale_delay_s: float = Field(300.0, ge=0)
    downscale_to_zero_delay_s: float | None = Field(None, ge=0)
    metrics_interval_s: float = Field(2.0, gt=0)
    look_back_period_s: float = Field(10.0, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            msg = f"min_replicas ({self.min_replicas}) is above max_replicas ({self.max_replicas})"
            raise ValueError(msg)
        return self


class ActorOptions(Spec):
    """Ray's resource keys for one replica. CPUs are tickets, not cores: ask for fractions."""

    num_cpus: float = Field(0.1, ge=0)
    num_gpus: float = Field(0.0, ge=0)
    memory: int | None = Field(None, ge=1, description="bytes reserved for placement")


class ModelParams(Spec):
    """Where a model comes from: `backend/source`, the source being a bundled name, a folder or a hub id."""

    model: str = Field(
        min_length=3, max_length=512, examples=["vllm/starter", "sentence_transformers/all-MiniLM-L6-v2"]
    )

    @property
    def backend(self) -> str:
        """The part before the first slash: the file under `models/chat` or `models/embedding` that hosts it."""
        return self.model.partition("/")[0]

    @property
    def source(self) -> str:
        """The part after the first slash: a bundled name, an absolute path or a hub id."""
        return self.model.partition("/")[2]

    @model_validator(mode="after")
    def _both_parts(self) -> Self:
        if not self.backend or not self.source:
            msg = f"{self.model!r} needs the form backend/source, for example 'vllm/Qwen/Qwen3-0.6B'"
            raise ValueError(msg)
        return self


class LoraAdapter(Spec):
    """One adapter that is served under its own name beside its base model."""

    name: ModelName
    path: Path


class ModelSpec(Spec):
    """One model that clients can name: its source, its engine's arguments and how it scales."""

    model_name: ModelName
    kind: Kind = Kind.CHAT
    params: ModelParams
    engine: dict[str, Any] = Field(default_factory=dict, description="engine arguments by vLLM's own names")
    adapters: tuple[LoraAdapter, ...] = ()
    autoscaling: Autoscaling = Autoscaling()
    ray_actor_options: ActorOptions = ActorOptions()
    max_ongoing_requests: int = Field(1024, ge=1, description="per replica; what is above waits in the ingress")
    max_queued_requests: int = Field(
        2048, ge=-1, description="per ingress replica; -1 is no limit, what is above is refused"
    )
    start_timeout_s: float = Field(1800.0, gt=0, description="how long a first request may wait for a replica")


class SearchSpec(Spec):
    """The FAISS deployment. One replica until replicas can follow a change feed (a second one would miss writes)."""

    enabled: bool = True
    max_replicas: Literal[1] = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"
    ray_actor_options: ActorOptions = ActorOptions()


class IngressSpec(Spec):
    """The front door: how many replicas share the port and what one request may weigh."""

    num_replicas: int = Field(1, ge=1, le=64)
    max_body_bytes: int = Field(8 * 2**20, ge=1024)
    max_json_depth: int = Field(64, ge=8, le=512)
    keep_alive_s: int = Field(75, ge=1)
    first_token_timeout_s: float = Field(300.0, gt=0)
    stall_timeout_s: float = Field(120.0, gt=0, description="between two tokens")
    total_timeout_s: float = Field(3600.0, gt=0)
    drain_timeout_s: float = Field(60.0, ge=0)


class GeneralSettings(Spec):
    """What concerns the whole installation."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    data_dir: Path | None = Field(None, description="default: /var/lib/manta for root, else $XDG_DATA_HOME/manta")
    public_url: Origin | None = None
    allowed_hosts: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Configuration(Spec):
    """The whole file."""

    model_list: tuple[ModelSpec, ...] = ()
    search: SearchSpec = SearchSpec()
    ingress: IngressSpec = IngressSpec()
    general_settings: GeneralSettings = GeneralSettings()

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [spec.model_name for spec in self.model_list]
        names += [adapter.name for spec in self.model_list for adapter in spec.adapters]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"model_name {twice[0]!r} stands twice; give every model a name of its own"
            raise ValueError(msg)
        return self
