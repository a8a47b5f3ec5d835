"""How a model's Serve application is called. Knows no Ray, so that commands can find its processes and logs."""

import hashlib
import re

APP_PREFIX = "model-"
CONTROL_APP = CONTROL_DEPLOYMENT = "control"
SEARCH_APP = "search"
SEARCH_DEPLOYMENT = "search"


def search_apps(shards: int) -> list[str]:
    """The applications of search: one for each shard, in their order."""
    return [SEARCH_APP] if shards == 1 else [f"{SEARCH_APP}-{number}" for number in range(shards)]


def app_name(model_name: str) -> str:
    """The application's name: readable, unique, and made of what Serve and file names allow."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", model_name)
    if readable == model_name:
        return APP_PREFIX + readable
    return f"{APP_PREFIX}{readable}-{hashlib.sha256(model_name.encode()).hexdigest()[:8]}"
