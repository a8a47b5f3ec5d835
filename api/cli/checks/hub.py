"""The model hub: whether it can be reached, and whether anything needs it."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2

from api.cli.checks.finding import Finding, ok, warn
from configs.catalog import Catalog
from models import sources

HUB = "https://huggingface.co"
TIMEOUT_S = 5.0


def check(catalog: Catalog) -> Iterator[Finding]:
    """Every finding about the hub."""
    remote = [spec.model_name for spec in catalog.configuration.model_list if not _is_here(spec.params.source)]
    need = f"{', '.join(remote)} may have to be fetched" if remote else "no configured model needs it"
    if catalog.settings.hf_hub_offline:
        yield ok("hub", f"HF_HUB_OFFLINE is set: the cache must hold what is asked for; {need}")
        return
    where = os.environ.get("HF_ENDPOINT", HUB)
    try:
        httpx2.head(where, timeout=TIMEOUT_S)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        fix = "mend the network or HTTPS_PROXY, or give folders" if remote else "set HF_HUB_OFFLINE=1 to go without"
        yield warn("hub", f"{where} cannot be reached ({type(error).__name__}); {need}", fix)
        return
    yield ok("hub", f"{where} answers; {need}")


def _is_here(source: str) -> bool:
    return source in sources.BUNDLED or Path(source).expanduser().is_dir()
