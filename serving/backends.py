"""From a model's entry to its backend: the folder under `models/` is the registry."""

from configs import plugins
from configs.specs import Kind, ModelSpec
from models.wire import Backend

FOLDERS = {Kind.CHAT: "models.chat", Kind.EMBEDDING: "models.embedding", Kind.RERANK: "models.rerank"}


def load(spec: ModelSpec) -> Backend:
    """The backend of an entry, not started yet.

    Raises:
        ConfigurationError: no such backend; the message lists those there are.
    """
    backend: Backend = plugins.load(FOLDERS[spec.kind], spec.params.backend)(spec)
    return backend
