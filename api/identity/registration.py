"""Who may make an account now. Open to everybody only where nobody else can come in."""

from collections.abc import MutableMapping
from typing import Any, Literal

from api.policy import LOOPBACK, is_local
from configs.specs import Configuration

Rule = Literal["open", "invite", "closed"]
LOCAL_HOSTS = LOOPBACK | {"localhost"}


def rule(configuration: Configuration, scope: MutableMapping[str, Any]) -> Rule:
    """What counts for one request.

    Without a setting it is `open` while Manta listens on this machine alone, under no public address and behind no
    proxy, and the request itself comes from this machine; `invite` otherwise.
    """
    chosen, general = configuration.identity.registration, configuration.general_settings
    if chosen is not None:
        return chosen
    alone = general.host in LOCAL_HOSTS and general.public_url is None and not getattr(general, "trusted_proxies", ())
    return "open" if alone and is_local(scope) else "invite"
