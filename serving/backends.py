"""From a model's entry to its backend: the folder under `models/` is the registry."""

from collections.abc import Callable
from importlib import import_module

from configs import plugins
from configs.errors import ConfigurationError
from configs.specs import Kind, ModelSpec
from models.wire import Backend

FOLDERS = {Kind.CHAT: "models.chat", Kind.EMBEDDING: "models.embedding", Kind.RERANK: "models.rerank"}


def check(spec: ModelSpec) -> None:
    """See that the entry's backend exists; nothing is imported.

    Raises:
        ConfigurationError: there is none of that name; the message lists those there are.
    """
    names = plugins.available(FOLDERS[spec.kind])
    if spec.params.backend not in names:
        known = ", ".join(names) or "none"
        raise ConfigurationError(f"There is no {spec.kind.value} backend {spec.params.backend!r}; there are: {known}.")


def load(spec: ModelSpec) -> Backend:
    """The backend of an entry, not started yet.

    Raises:
        ConfigurationError: no such backend; the message lists those there are.
    """
    return BACKENDS[spec.kind](spec)


def _chat(spec: ModelSpec) -> Backend:
    backend: Backend = plugins.load("models.chat", spec.params.backend)(spec)
    return backend


def _batched(module: str, name: str) -> Callable[[ModelSpec], Backend]:
    """Kinds whose plugins only load and encode; queue and wire are the kind's own. Imported when asked for."""

    def make(spec: ModelSpec) -> Backend:
        backend: Backend = getattr(import_module(module), name)(spec)
        return backend

    return make


BACKENDS: dict[Kind, Callable[[ModelSpec], Backend]] = {
    Kind.CHAT: _chat,
    Kind.EMBEDDING: _batched("models.embedding.backend", "EmbeddingBackend"),
    Kind.RERANK: _batched("models.rerank.backend", "RerankBackend"),
}
