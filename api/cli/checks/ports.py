"""Who can reach what: the front port, and for a running stack every socket that its processes listen on."""

import errno
import ipaddress
import socket
from collections.abc import Iterator

import httpx2

from api.cli import processes
from api.cli.checks.finding import Finding, fail, ok, warn
from api.cli.installation import Installation, Running, reachable_url
from api.port import bind
from configs.specs import GeneralSettings

TIMEOUT_S = 2.0
NO_TLS = "set --tls-cert and --tls-key, or put TLS in front (docs/transport.md)"
GRPC_METHOD = "/ray.serve.ASGIService/HandleRequest"
"""What each Serve replica has; an unknown method is refused by its name and not by its token."""
REFUSALS = {"UNAUTHENTICATED", "PERMISSION_DENIED"}


def check(installation: Installation, running: Running | None) -> Iterator[Finding]:
    """Every finding about ports."""
    general = installation.catalog.configuration.general_settings
    if running is None:
        yield _front(general)
        return
    found = processes.roles(installation.layout, running.pid)
    for role, pid, address, port in _once(processes.listening(found)):
        front = f":{port}" == running.url[running.url.rindex(":") :]
        if front and running.certificate is not None and not is_loopback(address):
            yield ok("listens", f"{address}:{port} {role} (pid {pid}), reached from elsewhere, over TLS")
        else:
            yield _listener(role, pid, address, port, front=front)


def _front(general: GeneralSettings) -> Finding:
    where = f"{general.host}:{general.port}"
    try:
        bind(general, reuse_port=False).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return fail("port", f"{where} is in use", "stop what listens there, or choose another with --port")
        return fail("port", f"{where} cannot be used: {error.strerror}", "choose another --host or --port")
    if not is_loopback(general.host):
        if general.tls_cert is not None:
            return ok("port", f"{where} is free, and reached from elsewhere, over TLS")
        return warn("port", f"{where} is free, and reached from elsewhere", NO_TLS)
    return ok("port", f"{where} is free, and reached from this machine only")


def _listener(role: str, pid: int, address: str, port: int, *, front: bool) -> Finding:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    what = f"{where} {role} (pid {pid})"
    if is_loopback(address):
        return ok("listens", f"{what}, this machine only")
    fix = NO_TLS if front else f"close port {port} in the firewall"
    return warn("listens", f"{what}, reached from elsewhere; what answers there: {probe(address, port)}", fix)


def probe(address: str, port: int) -> str:
    """What answers an HTTP request without a key."""
    try:
        response = httpx2.get(reachable_url(address, port), timeout=TIMEOUT_S, trust_env=False)
    except httpx2.TimeoutException:
        return "it takes the connection and says nothing to HTTP"
    except httpx2.RemoteProtocolError:
        return _probe_grpc(address, port)
    except httpx2.HTTPError:
        return "it closes the connection"
    kind = response.headers.get("content-type", "no type").partition(";")[0]
    return f"HTTP {response.status_code}, {kind}, {len(response.content)} bytes"


def _probe_grpc(address: str, port: int) -> str:
    """What answers a gRPC call without a token."""
    import grpc  # noqa: PLC0415  Ray brings it; nothing else here needs it

    with grpc.insecure_channel(reachable_url(address, port).removeprefix("http://")) as channel:
        try:
            channel.unary_unary(GRPC_METHOD)(b"", timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            code = error.code().name
            return "gRPC that refuses without a token" if code in REFUSALS else f"gRPC ({code})"
    return "gRPC, and it answers"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it. A name counts when all its addresses do."""
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, None)]
    except OSError:
        return False
    return all(_plain(address).is_loopback for address in found)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """`::ffff:127.0.0.1` is 127.0.0.1, as a socket for both families writes it."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed


def _once(listeners: list[tuple[str, int, str, int]]) -> list[tuple[str, int, str, int]]:
    """A socket that was handed over is listed with its first holder."""
    seen: set[tuple[str, int]] = set()
    kept = []
    for each in listeners:
        if each[2:] not in seen:
            seen.add(each[2:])
            kept.append(each)
    return kept
