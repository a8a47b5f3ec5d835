"""The shapes of the YAML: frozen values, checked once at start.

Engine keys keep vLLM's spelling, autoscaling keys Ray Serve's, and the model list follows LiteLLM's shape, so that what
a reader knows from those projects holds here. This file does not know where a value came from (see `configs.catalog`).
Each field's description is its line in `docs/configuration.md` and in `configs/schema.json`.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator, model_validator

from configs import engine_args, forms
from configs.audit_specs import AuditSpec
from configs.backup_specs import BackupSpec
from configs.faults import Fault, refuse
from configs.file_specs import FilesSpec
from configs.frozen import FrozenDict, freeze, thaw
from configs.identity_specs import IdentitySpec
from configs.ingest_specs import IngestSpec
from configs.knowledge_specs import KnowledgeSpec
from configs.privacy_specs import PrivacySpec
from configs.scaling_specs import ActorOptions, Autoscaling
from configs.search_specs import SearchSpec
from configs.spec import LocalPath, Network, Origin, SharedPath, Spec
from configs.wording import sentence

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
ModelName = Annotated[str, StringConstraints(pattern=forms.MODEL_NAME)]


class Kind(StrEnum):
    """What a model answers: which routes reach it and which deployment hosts it."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"


class EncoderEngine(Spec):
    """What embedding and rerank models share: how texts are batched and where the model runs."""

    max_batch_tokens: int = Field(16384, ge=1, description="most tokens, padding included, in one forward pass")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes a GPU where there is one")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="number format of the weights")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads of one replica; unset: as torch decides")


class EmbeddingEngine(EncoderEngine):
    """The `engine:` keys of a model of `kind: embedding`."""

    normalize: bool = Field(True, description="scale vectors to length 1, so that dot product and cosine agree")
    query_prefix: str | None = Field(None, max_length=4096, description="put before a text that is a query")
    document_prefix: str | None = Field(None, max_length=4096, description="put before a text that is a document")


class RerankEngine(EncoderEngine):
    """The `engine:` keys of a model of `kind: rerank`."""


ENCODER_ENGINES: dict[Kind, type[EncoderEngine]] = {Kind.EMBEDDING: EmbeddingEngine, Kind.RERANK: RerankEngine}


class ModelParams(Spec):
    """Where a model comes from: `backend/source`, the source being a bundled name, a folder or a hub id."""

    model: str = Field(
        min_length=3,
        max_length=512,
        examples=["vllm/starter", "sentence_transformers/all-MiniLM-L6-v2"],
        description="`backend/source`; the source is a bundled name, an absolute folder (so two slashes) or a hub id",
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
            text = f"{self.model!r} needs the form backend/source, for example 'vllm/Qwen/Qwen3-0.6B'"
            refuse([Fault(("model",), text)])
        return self


class LoraAdapter(Spec):
    """One adapter that is served under its own name beside its base model."""

    name: ModelName = Field(description="the name by which clients ask for it")
    path: LocalPath = Field(description="folder of the adapter (PEFT layout, safetensors)")


class ModelSpec(Spec):
    """One model that clients can name: its source, its engine's arguments and how it scales."""

    model_name: ModelName = Field(description="the name by which clients ask for it")
    kind: Kind = Field(Kind.CHAT, description="what it answers")
    params: ModelParams = Field(description="where it comes from")
    engine: dict[str, Any] = Field(
        default_factory=FrozenDict[Any],
        description="engine arguments: vLLM's own names for chat, the keys below for embedding and rerank",
    )
    adapters: tuple[LoraAdapter, ...] = Field((), description="LoRA adapters served beside it (chat only)")
    autoscaling: Autoscaling = Field(Autoscaling(), description="how many replicas")
    ray_actor_options: ActorOptions = Field(ActorOptions(), description="what one replica takes")
    max_ongoing_requests: int = Field(1024, ge=1, description="per replica; what is above waits in the ingress")
    max_queued_requests: int = Field(
        2048, ge=-1, description="per ingress replica; -1 is no limit, what is above is refused"
    )
    start_timeout_s: float = Field(1800.0, gt=0, description="how long a first request may wait for a replica")

    @field_validator("engine")
    @classmethod
    def _known_arguments(cls, engine: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        kind, params = info.data.get("kind"), info.data.get("params")
        if kind in ENCODER_ENGINES:
            refuse(_encoder_faults(ENCODER_ENGINES[kind], engine))
        elif kind is Kind.CHAT and params is not None and params.backend == "vllm":
            refuse(engine_args.check(engine))
        return freeze(engine)

    @field_validator("adapters")
    @classmethod
    def _chat_only(cls, adapters: tuple[LoraAdapter, ...], info: ValidationInfo) -> tuple[LoraAdapter, ...]:
        if adapters and info.data.get("kind") in ENCODER_ENGINES:
            refuse([Fault((), "'adapters' are for models of kind 'chat'")])
        return adapters

    @property
    def engine_arguments(self) -> dict[str, Any]:
        """The `engine:` keys as plain, changeable values, for the library that takes them."""
        return thaw(self.engine)

    @property
    def embedding_engine(self) -> EmbeddingEngine:
        """The `engine:` keys of an embedding model, defaults filled in."""
        return EmbeddingEngine.model_validate(self.engine)

    @property
    def rerank_engine(self) -> RerankEngine:
        """The `engine:` keys of a rerank model, defaults filled in."""
        return RerankEngine.model_validate(self.engine)


def _encoder_faults(shape: type[EncoderEngine], engine: dict[str, Any]) -> list[Fault]:
    try:
        shape.model_validate(engine, strict=True)
    except ValidationError as error:
        return [
            Fault(each["loc"], sentence(dict(each), shape.model_fields), on_key=each["type"] == "extra_forbidden")
            for each in error.errors(include_url=False)
        ]
    return []


class IngressSpec(Spec):
    """The front door: how many replicas share the port and what one request may weigh."""

    num_replicas: int = Field(1, ge=1, le=64, description="processes that share the port")
    max_body_bytes: int = Field(8 * 2**20, ge=1024, description="largest request body")
    max_json_depth: int = Field(64, ge=8, le=512, description="deepest nesting of a JSON body")
    keep_alive_s: int = Field(75, ge=1, description="idle seconds before a connection is closed")
    first_token_timeout_s: float = Field(300.0, gt=0, description="longest wait for the first token")
    stall_timeout_s: float = Field(120.0, gt=0, description="longest wait between two tokens")
    total_timeout_s: float = Field(3600.0, gt=0, description="longest answer")
    drain_timeout_s: float = Field(60.0, ge=0, description="how long running answers may go on when it stops")


class GeneralSettings(Spec):
    """What concerns the whole installation."""

    host: str = Field("127.0.0.1", min_length=1, max_length=255, description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data_dir: LocalPath | None = Field(
        None, description="where everything is kept; unset: /var/lib/manta for root, else $XDG_DATA_HOME/manta"
    )
    public_url: Origin | None = Field(None, description="how clients outside reach it, without a path")
    allowed_hosts: tuple[str, ...] = Field((), description="further host names that requests may name")
    allowed_origins: tuple[Origin, ...] = Field((), description="other sites whose pages may call it (CORS)")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="networks of proxies in front; what they forward about a client counts"
    )
    tls_cert: SharedPath | None = Field(
        None, description="certificate with its chain (PEM) to answer over TLS; read again when it changes"
    )
    tls_key: SharedPath | None = Field(None, description="the certificate's private key (PEM), closed to others")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line logged")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_cert"
            refuse([Fault((missing,), "'tls_cert' and 'tls_key' go together")])
        return self

    @property
    def scheme(self) -> Literal["http", "https"]:
        """What the front port speaks."""
        return "http" if self.tls_cert is None else "https"


class Configuration(Spec):
    """The whole file."""

    model_list: tuple[ModelSpec, ...] = Field((), description="the models to serve")
    search: SearchSpec = Field(SearchSpec(), description="vector search")
    ingress: IngressSpec = Field(IngressSpec(), description="the front door")
    files: FilesSpec = Field(FilesSpec(), description="files that people upload")
    ingest: IngestSpec = Field(IngestSpec(), description="how files become searchable")
    knowledge: KnowledgeSpec = Field(KnowledgeSpec(), description="answers from documents")
    backup: BackupSpec = Field(BackupSpec(), description="backups of the database and the files")
    identity: IdentitySpec = Field(IdentitySpec(), description="accounts and how people sign in")
    privacy: PrivacySpec = Field(PrivacySpec(), description="personal data: who answers for it, how long it is kept")
    audit: AuditSpec = Field(AuditSpec(), description="anchors of the audit log")
    general_settings: GeneralSettings = Field(GeneralSettings(), description="the whole installation")

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        refuse(_repeated_names(self.model_list))
        return self

    @model_validator(mode="after")
    def _known_to_the_public(self) -> Self:
        """Nobody is asked for personal data before it says who answers for it."""
        general = self.general_settings
        public = general.public_url is not None or general.host not in LOOPBACK
        if self.identity.registration == "open" and public and not self.privacy.controller.complete:
            text = "'open' to the public needs privacy.controller (name, address, email, law), or set 'invite'"
            refuse([Fault(("identity", "registration"), text)])
        return self


def _repeated_names(models: tuple[ModelSpec, ...]) -> list[Fault]:
    seen: set[str] = set()
    faults: list[Fault] = []
    for index, spec in enumerate(models):
        places: list[tuple[str, tuple[str | int, ...]]] = [(spec.model_name, ("model_name",))]
        places += [(adapter.name, ("adapters", number, "name")) for number, adapter in enumerate(spec.adapters)]
        for name, path in places:
            if name in seen:
                text = f"model_name {name!r} stands twice; give every model a name of its own"
                faults.append(Fault(("model_list", index, *path), text))
            seen.add(name)
    return faults
