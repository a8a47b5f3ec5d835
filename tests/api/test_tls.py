"""TLS on real sockets: streams, renewal, what is refused. The port as a whole: launcher/test_port_keeper.py."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from api.http import SLOW_READER_BYTES
from api.tls import FrontTls, pinned
from configs.errors import ConfigurationError
from configs.specs import GeneralSettings
from tests.api.test_http import EVENTS, Site, request
from tests.fixtures.certificates import NAME, Pair, write_pair
from tests.fixtures.gated import gated, unobserved
from tests.fixtures.links import TIMEOUT_S
from tests.fixtures.servers import Served, served


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return write_pair(tmp_path)


@pytest.fixture
async def site() -> Site:
    return Site()


@pytest.fixture
async def front(site: Site, pair: Pair) -> AsyncIterator[Served]:
    async with served(site, pair) as at:
        yield at


async def shown(port: int, **options: Any) -> bytes:
    """The certificate that a new connection is shown, DER."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(TIMEOUT_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, **options)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


async def test_a_stream_comes_event_by_event(front: Served) -> None:
    async with front.wire() as wire:
        for _ in range(2):
            wire.send(request("/stream"))
            assert (await wire.head())[0] == 200
            assert [await wire.chunk() for _ in range(4)] == [*EVENTS, b""]
        wire.send(request("/plain", body="{}") * 2)
        assert [(await wire.reply()).body for _ in range(2)] == [b"plain"] * 2
    async with front.http() as client, client.stream("POST", "/stream", content=b"{}") as response:
        assert b"".join([part async for part in response.aiter_bytes()]) == b"".join(EVENTS)


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_a_client_that_leaves_is_noticed(front: Served, site: Site, reset: bool) -> None:
    async with front.wire() as wire:
        wire.send(request("/wait"))
        assert (await wire.head())[0] == 200
        if reset:
            await wire.drop()
        else:
            wire.writer.close()
        await asyncio.wait_for(site.gone.wait(), TIMEOUT_S)


async def test_a_slow_reader_is_dropped_and_a_fast_one_is_not(front: Served, site: Site) -> None:
    await drops_a_slow_reader(front, site)


def test_on_the_loop_of_a_replica_it_is_the_same(pair: Pair) -> None:
    """uvloop has a TLS of its own, with other buffers."""

    async def streams() -> None:
        site = Site()
        async with served(site, pair) as front:
            async with front.wire() as wire:
                wire.send(request("/stream"))
                assert (await wire.reply()).body == b"".join(EVENTS)
            await drops_a_slow_reader(front, site)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(uvloop.run, streams()).result(10 * TIMEOUT_S)


async def drops_a_slow_reader(front: Served, site: Site) -> None:
    async with front.wire() as wire:
        wire.send(request("/flood"))
        await wire.head()
        for _ in range(2 * SLOW_READER_BYTES // 2**16):
            assert len(await wire.chunk()) == 2**16
        assert not site.gone.is_set()
        wire.reader._transport.pause_reading()  # type: ignore[attr-defined]  # StreamReader's own
        await asyncio.wait_for(site.gone.wait(), TIMEOUT_S)
        await wire.drop()


async def test_routes_see_that_it_is_https(pair: Pair) -> None:
    async with served(gated(unobserved, allowed_hosts=(NAME,)), pair) as front, front.http() as client:
        assert (await client.get("/peer")).json()["scheme"] == "https"
        assert "strict-transport-security" not in (await client.get("/peer", headers={"host": "localhost"})).headers
        assert "strict-transport-security" in (await client.get("/peer", headers={"host": NAME})).headers


async def test_tls_1_2_and_1_3_are_spoken_and_older_ones_are_not(front: Served) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert front.trust is not None
        front.trust.minimum_version = front.trust.maximum_version = version
        async with front.wire() as wire:
            assert wire.writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
            wire.send(request("/plain"))
            assert (await wire.reply()).body == b"plain"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", front.port, ssl=old)


async def test_who_does_not_speak_tls_gets_nothing_and_harms_nobody(front: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(request("/plain"))
    async with asyncio.timeout(TIMEOUT_S):
        assert b"plain" not in await reader.read()
    writer.close()
    async with front.wire() as wire:
        wire.send(request("/plain"))
        assert (await wire.reply()).body == b"plain"


async def test_a_renewed_certificate_is_shown_to_new_connections_and_the_old_ones_go_on(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    tls = FrontTls(*pair)
    async with served_with(tls) as port:
        trust = pinned(pair.certificate)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        first = await shown(port)
        assert first == der(pair)
        assert not tls.refresh()
        write_pair(tmp_path)
        assert await shown(port) == first
        assert tls.refresh()
        assert await shown(port) == await shown(port, server_hostname=NAME) == der(pair) != first
        assert not tls.refresh()
        writer.write(request("/plain"))
        async with asyncio.timeout(TIMEOUT_S):
            assert (await reader.readuntil(b"plain")).startswith(b"HTTP/1.1 200 ")
        writer.close()


def half_renewed(pair: Pair, _: Path) -> None:
    key = pair.key.read_bytes()
    write_pair(pair.key.parent)
    pair.key.write_bytes(key)


def emptied(pair: Pair, _: Path) -> None:
    pair.certificate.write_bytes(b"")


def removed(pair: Pair, _: Path) -> None:
    pair.key.unlink()


def opened(pair: Pair, _: Path) -> None:
    pair.key.chmod(0o644)


@pytest.mark.parametrize("harm", [half_renewed, emptied, removed, opened])
async def test_a_renewal_that_cannot_be_used_changes_nothing_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Pair, Path], None]
) -> None:
    pair = write_pair(tmp_path)
    tls = FrontTls(*pair)
    async with served_with(tls) as port:
        first = await shown(port)
        harm(pair, tmp_path)
        assert not tls.refresh()
        assert "the renewed certificate is not used" in caplog.text
        assert await shown(port) == first
        write_pair(tmp_path)
        assert tls.refresh()
        assert await shown(port) == der(pair) != first


async def test_a_bad_renewal_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tls = FrontTls(*write_pair(tmp_path))
    (tmp_path / "tls.key").write_text("no key")
    assert (tls.refresh(), tls.refresh()) == (False, False)
    assert caplog.text.count("is not used") == 1


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (half_renewed, "is not the key of the certificate"),
        (emptied, "holds no certificate in PEM"),
        (removed, "tls_key: cannot read .*No such file"),
        (opened, "open to others .mode 0644.: `chmod g-w,o= "),
        (lambda pair, _: pair.key.chmod(0o660), "open to others"),
        (lambda pair, _: pair.key.write_text("no key"), "holds no private key in PEM"),
        (lambda pair, _: pair.certificate.unlink(), "tls_cert: cannot read .*No such file"),
        (lambda pair, _: (pair.certificate.unlink(), pair.certificate.mkdir()), "tls_cert: cannot read"),
        (lambda _, folder: write_pair(folder, password=b"secret"), "asks for a password"),
    ],
)  # fmt: skip
def test_a_pair_that_cannot_be_used_is_refused_in_words(
    pair: Pair, tmp_path: Path, harm: Callable[[Pair, Path], object], words: str
) -> None:
    harm(pair, tmp_path)
    with pytest.raises(ConfigurationError, match=words):
        FrontTls(*pair)


def test_a_group_may_read_the_key(pair: Pair) -> None:
    pair.key.chmod(0o640)
    assert FrontTls(*pair).context


@pytest.mark.parametrize(("days", "words"), [(-1, "has expired"), (3, "expires in 2 days"), (30, "")])
def test_a_certificate_that_ends_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, days: int, words: str
) -> None:
    FrontTls(*write_pair(tmp_path, days=days))
    assert words in caplog.text
    assert bool(caplog.records) == bool(words)


def test_it_is_there_when_the_configuration_names_it(pair: Pair) -> None:
    assert FrontTls.of(GeneralSettings()) is None
    assert FrontTls.of(GeneralSettings(tls_cert=pair.certificate, tls_key=pair.key)) is not None


@asynccontextmanager
async def served_with(tls: FrontTls) -> AsyncIterator[int]:
    """A small server that the test can renew the certificate of."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain")
        writer.close()

    logging.getLogger("api.tls").setLevel(logging.INFO)
    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls.context)
    yield listening.sockets[0].getsockname()[1]
    listening.close()
