"""Who can reach what: the front port, and for a running stack every socket that its processes listen on."""

import errno
import ipaddress
import socket
from collections.abc import Iterator

import httpx2

from api.cli import processes
from api.cli.checks.finding import Finding, fail, ok, warn
from api.cli.installation import Installation, Running
from api.port import bind
from configs.specs import GeneralSettings

TIMEOUT_S = 2.0
MANY = "::", "0.0.0.0"  # noqa: S104  recognised, not listened on
PORTS_OF_PROCESSES = 12
"""So many sockets of one role are listed; the rest is counted."""


def check(installation: Installation, running: Running | None) -> Iterator[Finding]:
    """Every finding about ports."""
    general = installation.catalog.configuration.general_settings
    if running is None:
        yield _front(general)
        return
    found = processes.roles(installation.layout, running.pid)
    for role, pid, address, port in _once(processes.listening(found)):
        yield _listener(role, pid, address, port, front=f":{port}" == running.url[running.url.rindex(":") :])


def _front(general: GeneralSettings) -> Finding:
    where = f"{general.host}:{general.port}"
    try:
        bind(general, reuse_port=False).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return fail("port", f"{where} is in use", "stop what listens there, or choose another with --port")
        return fail("port", f"{where} cannot be used: {error.strerror}", "choose another --host or --port")
    if not is_loopback(general.host):
        return warn("port", f"{where} is free, and reached from elsewhere", "put TLS in front (k8s/nginx)")
    return ok("port", f"{where} is free, and reached from this machine only")


def _listener(role: str, pid: int, address: str, port: int, *, front: bool) -> Finding:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    what = f"{where} {role} (pid {pid})"
    if is_loopback(address):
        return ok("listens", f"{what}, this machine only")
    answer = probe(address, port)
    if front:
        return warn("listens", f"{what}, reached from elsewhere: {answer}", "put TLS in front (k8s/nginx)")
    return warn("listens", f"{what}, reached from elsewhere: {answer}", f"close port {port} in the firewall")


def probe(address: str, port: int) -> str:
    """What answers an HTTP request without a key."""
    name = "[::1]" if address == "::" else "127.0.0.1" if address in MANY else address
    try:
        response = httpx2.get(f"http://{name}:{port}/", timeout=TIMEOUT_S, trust_env=False)
    except httpx2.TimeoutException:
        return "it takes the connection and says nothing to HTTP"
    except httpx2.RemoteProtocolError:
        return "it speaks another protocol than HTTP (gRPC, for one)"
    except httpx2.HTTPError:
        return "it closes the connection"
    kind = response.headers.get("content-type", "no type").partition(";")[0]
    return f"HTTP {response.status_code}, {kind}, {len(response.content)} bytes"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)


def _once(listeners: list[tuple[str, int, str, int]]) -> list[tuple[str, int, str, int]]:
    """A socket that was handed over is listed with its first holder."""
    seen: set[tuple[str, int]] = set()
    kept = []
    for each in listeners:
        if each[2:] not in seen:
            seen.add(each[2:])
            kept.append(each)
    return kept
