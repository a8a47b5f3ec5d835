"""The certificate of the front port: whether it can be used, and for how long."""

from collections.abc import Iterator
from datetime import timedelta

from api.cli.checks.finding import Finding, fail, ok, warn
from api.tls import SOON, FrontTls, left_of, read
from configs.errors import ConfigurationError
from configs.specs import GeneralSettings

CHECK = "certificate"
RENEW = "renew it; a running stack takes the new one by itself"


def check(general: GeneralSettings) -> Iterator[Finding]:
    """One finding; none where TLS ends elsewhere."""
    if general.tls_cert is None:
        return
    try:
        FrontTls.of(general)
        left = left_of(read(general.tls_cert))
    except ConfigurationError as error:
        yield fail(CHECK, error.message, "see docs/transport.md")
        return
    if left < timedelta():
        yield fail(CHECK, f"{general.tls_cert} has expired", RENEW)
    elif left < SOON:
        yield warn(CHECK, f"{general.tls_cert} expires in {left.days} days", RENEW)
    else:
        yield ok(CHECK, f"{general.tls_cert} is good for {left.days} days")
