import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from api import addresses
from api.addresses import NotAllowed
from api.fetch import MAX_BYTES, Fetched, Fetcher, NotFetched
from configs.errors import Unavailable
from tests.fixtures.servers import Served, served
from tests.fixtures.sign_in import fetching

NOBODY = "name.invalid"
ANYWHERE = "https://example.com/x"


async def endless() -> AsyncIterator[bytes]:
    for _ in range(400):
        yield b" " * 65_536
        await asyncio.sleep(0)


async def answer(request: Request) -> Response:
    match request.path_params["what"]:
        case "echo":
            seen = dict(request.headers.items())
            body = (await request.body()).decode()
            response: Response = JSONResponse({"headers": seen, "body": body, "query": request.url.query})
            response.set_cookie("planted", "1")
            return response
        case "sized":
            return Response(b"x" * int(request.query_params["n"]))
        case "endless":
            return StreamingResponse(endless())
        case "gzip":
            return Response(b"", headers={"content-encoding": "gzip"})
        case "redirect":
            return RedirectResponse(request.query_params["to"], int(request.query_params["status"]))
        case "silent":
            await asyncio.sleep(60)
    return JSONResponse({}, int(request.query_params["n"]))


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Served]:
    app = Starlette(routes=[Route("/{what}", answer, methods=["GET", "POST"])])
    async with served(app) as listening:
        yield listening


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with fetching() as made:
        yield made


ODD = [
    "", "/x", "user@example.com/", "user:word@example.com/", "@example.com/", "example.com/#fragment", "exa mple.com/",
    "example.com\\@a.example.com/", "example.com/\n", "example.com/\x00", "ex\u00e4mple.com/", "example.com:99999/",
    "example.com:0/", "example.com/" + "x" * 2048,
]  # fmt: skip
PLAIN = [
    "example.com/", "127.0.0.1.example.com/", "2130706433/", "0x7f.1/", "127.1/", "localhost.example.com/", "0.0.0.0/",
    "[::]/", "localhost@example.com/", "",
]  # fmt: skip
OTHER: list[object] = [
    "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "data:text/plain,x",
    "//example.com/", "/x", "", None, 1, b"https://example.com/", ["https://example.com/"],
]  # fmt: skip


@pytest.mark.parametrize("url", [*(f"https://{rest}" for rest in ODD), *(f"http://{rest}" for rest in PLAIN), *OTHER])
def test_only_https_addresses_without_tricks_are_taken(url: object) -> None:
    with pytest.raises(NotAllowed):
        addresses.parse(url)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:8000", "127.8.8.8"])
def test_this_machine_may_be_asked_without_tls_when_it_is_named(host: str) -> None:
    assert addresses.is_local(addresses.parse(f"http://{host}/x"))


@pytest.mark.parametrize(
    "found",
    [
        ["169.254.169.254"], ["fe80::1"], ["0.0.0.0"], ["::"], ["224.0.0.1"], ["ff02::1"], ["127.0.0.1"], ["::1"],
        ["::ffff:127.0.0.1"], ["::ffff:169.254.169.254"], ["64:ff9b::a9fe:a9fe"], ["10.0.0.1", "127.0.0.1"], [],
        ["not an address"],
    ],
)  # fmt: skip
async def test_a_name_that_leads_to_this_machine_or_a_metadata_service_is_refused(found: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("example.com", 443)
        return found

    async with fetching(resolve=resolve) as fetcher:
        with pytest.raises(NotFetched, match="not to be asked"):
            await fetcher.get(ANYWHERE)


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "0.0.0.0"])
async def test_such_an_address_itself_is_refused(fetcher: Fetcher, host: str) -> None:
    with pytest.raises(NotFetched, match="not to be asked"):
        await fetcher.get(f"https://{host}/")


@pytest.mark.parametrize("found", [["10.1.2.3"], ["192.168.0.1"], ["fd00::1"], ["93.184.216.34", "2001:db8::1"]])
async def test_public_and_private_networks_are_allowed(found: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return found

    assert await addresses.targets(addresses.parse(ANYWHERE), resolve) == found


async def test_localhost_must_be_this_machine() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    async with fetching(resolve=resolve) as fetcher:
        with pytest.raises(NotFetched, match="not to be asked"):
            await fetcher.get("http://localhost/")


async def test_get_sends_what_it_is_given_and_nothing_else(server: Served, fetcher: Fetcher) -> None:
    first = (await fetcher.get(f"{server.url}/echo?a=b", {"accept": "application/json"})).json_object()
    second = (await fetcher.get(f"{server.url}/echo")).json_object()
    assert first["query"] == "a=b"
    assert first["headers"]["accept"] == "application/json"
    assert first["headers"]["host"] == f"127.0.0.1:{server.port}"
    assert set(second["headers"]) == {"host", "user-agent", "accept-encoding"}, "no cookie comes back"


async def test_post_sends_a_form(server: Served, fetcher: Fetcher) -> None:
    seen = (await fetcher.post(f"{server.url}/echo", {"code": "a&b=ü", "x": "1"})).json_object()
    assert seen["body"] == "code=a%26b%3D%C3%BC&x=1"
    assert seen["headers"]["content-type"] == "application/x-www-form-urlencoded"


async def test_the_environments_proxy_is_not_asked(
    server: Served, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    async with fetching() as made:
        assert (await made.get(f"{server.url}/echo")).status == 200


async def test_the_operators_proxy_is_asked(server: Served) -> None:
    async with fetching(proxy=server.url) as fetcher:
        seen = (await fetcher.get("http://localhost:1/echo")).json_object()
    assert seen["headers"]["host"] == "localhost:1"


async def test_the_next_address_is_asked_when_one_does_not_listen(server: Served) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async with fetching(resolve=resolve) as fetcher:
        seen = (await fetcher.get(f"http://localhost:{server.port}/echo")).json_object()
    assert seen["headers"]["host"] == f"localhost:{server.port}"


async def test_an_answer_may_be_as_large_as_the_cap(server: Served, fetcher: Fetcher) -> None:
    assert len((await fetcher.get(f"{server.url}/sized?n={MAX_BYTES}")).body) == MAX_BYTES
    with pytest.raises(NotFetched, match="larger"):
        await fetcher.get(f"{server.url}/sized?n={MAX_BYTES + 1}")


async def test_an_endless_answer_ends_at_the_cap(server: Served, fetcher: Fetcher) -> None:
    with pytest.raises(NotFetched, match="larger"):
        await fetcher.get(f"{server.url}/endless")


async def test_compression_that_nobody_asked_for_is_refused(server: Served, fetcher: Fetcher) -> None:
    with pytest.raises(NotFetched, match="compressed"):
        await fetcher.get(f"{server.url}/gzip")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["/echo", "https://169.254.169.254/", "javascript:alert(1)", "http://["])
async def test_redirects_are_not_followed(server: Served, fetcher: Fetcher, status: int, to: str) -> None:
    with pytest.raises(NotFetched, match="redirect"):
        await fetcher.post(f"{server.url}/redirect?status={status}&to={to.replace(':', '%3A')}", {"code": "secret"})


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404])
async def test_other_statuses_are_the_callers_to_judge(server: Served, fetcher: Fetcher, status: int) -> None:
    assert await fetcher.get(f"{server.url}/status?n={status}") == Fetched(status, b"{}", "application/json")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_who_cannot_serve_now_is_down(server: Served, fetcher: Fetcher, status: int) -> None:
    with pytest.raises(Unavailable) as raised:
        await fetcher.get(f"{server.url}/status?n={status}")
    assert raised.value.retry_after_s


async def test_who_is_silent_is_down(server: Served) -> None:
    async with fetching(timeout_s=0.2) as fetcher:
        with pytest.raises(Unavailable):
            await fetcher.get(f"{server.url}/silent")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", f"https://{NOBODY}/"])
async def test_who_does_not_listen_is_down(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(Unavailable):
        await fetcher.get(url)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"null", b"{", b"\xff", b'{"a":' * 2000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(NotFetched):
        Fetched(200, body).json_object()


@pytest.mark.parametrize(
    ("name", "trusted", "good"), [("localhost", True, True), ("localhost", False, False), ("example.com", True, False)]
)
async def test_a_certificate_must_be_trusted_and_name_the_host(
    tmp_path: Path, name: str, trusted: bool, good: bool
) -> None:
    certificate, key = make_certificate(tmp_path, name)
    async with secure_server(certificate, key) as port:
        tls = ssl.create_default_context(cafile=str(certificate)) if trusted else None
        async with fetching(tls=tls) as fetcher:
            if good:
                assert (await fetcher.get(f"https://localhost:{port}/")).body == b"ok"
            else:
                with pytest.raises(Unavailable):
                    await fetcher.get(f"https://localhost:{port}/")


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*encoding))
    return folder / "certificate.pem", folder / "key.pem"


class secure_server:  # noqa: N801  used like a function
    """Answers `ok` over TLS."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self._tls)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: Any) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()
