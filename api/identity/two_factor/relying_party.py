"""Under which name passkeys are made, and which pages may use them.

A passkey is bound to a domain. With `general_settings.public_url` it is that one; without it only names that the
operator listed in `allowed_hosts`, and `localhost`, make one. Browsers offer passkeys over https and on localhost only,
never for a bare address, and the errors here say so before the browser does. It knows neither users nor tables.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from api.hosts import LOCAL, is_address, name_of
from configs.errors import PasskeyRefused
from configs.specs import GeneralSettings

NAME = "Manta"
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The domain that a passkey belongs to, and the origins (`https://a.example.com`) that may use it."""

    id: str
    origins: tuple[str, ...]
    name: str = NAME


def relying_party(settings: GeneralSettings, host: bytes) -> RelyingParty:
    """The one of this installation, for a request with the header `Host: host`.

    Raises:
        PasskeyRefused: it is reached by an address, without https, or by a name that is not configured.
    """
    if settings.public_url is not None:
        return _of_url(str(settings.public_url), settings.allowed_hosts)
    name = name_of(host)
    allowed = {each.lower() for each in settings.allowed_hosts}
    port = host.decode("latin-1").strip()[len(name) :]
    if name == LOCAL:
        return RelyingParty(LOCAL, (f"http://{LOCAL}{port}", f"https://{LOCAL}{port}"))
    if name in allowed and not is_address(name):
        return RelyingParty(name, (f"https://{name}{port}",))
    raise PasskeyRefused(
        "Passkeys need a domain: open this server as http://localhost, or let its operator set "
        "general_settings.public_url to its https address."
    )


def _of_url(url: str, allowed_hosts: tuple[str, ...]) -> RelyingParty:
    parts = urlsplit(url)
    name = (parts.hostname or "").lower()
    if is_address(name) or (parts.scheme != "https" and name != LOCAL):
        raise PasskeyRefused("Passkeys need general_settings.public_url to be https and to name a domain.")
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    below = (each.lower() for each in allowed_hosts if each.lower().endswith(f".{name}"))
    return RelyingParty(name, (f"{parts.scheme}://{name}{port}", *(f"https://{each}{port}" for each in below)))
