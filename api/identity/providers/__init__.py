"""Sign-in providers. The folder is the registry: a kind is a file with a `create`, named as `kind` in the YAML."""

from collections.abc import Iterable

from api.fetch import Fetcher
from api.identity.providers.protocol import Provider
from configs import plugins, secretfiles
from configs.provider_specs import ProviderSpec


def load_all(specs: Iterable[ProviderSpec], fetcher: Fetcher) -> dict[str, Provider]:
    """The configured providers by name; none of them is asked yet.

    Raises:
        ConfigurationError: a secret file cannot be read.
    """
    return {spec.name: _load(spec, fetcher) for spec in specs}


def _load(spec: ProviderSpec, fetcher: Fetcher) -> Provider:
    secret = secretfiles.read_given(spec.client_secret_file) if spec.client_secret_file else None
    provider: Provider = plugins.load(__name__, spec.kind)(spec, secret, fetcher)
    return provider
