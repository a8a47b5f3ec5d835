import ssl
import stat
from pathlib import Path

import pytest

from models.wire import Call, Usage
from serving.link.client import Address, Link
from serving.link.server import StreamReply
from serving.link.tls import client_context, make_certificate, server_context
from tests.fixtures.links import SECRET, Desk, Recorder, call, ended, listening


async def answer(call: Call, reply: StreamReply) -> None:
    reply.data(call.body)
    reply.end(Usage(1))


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    made = folder / f"{name}.crt", folder / f"{name}.key"
    make_certificate(*made)
    return made


async def test_a_link_speaks_tls(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "ours")
    async with listening(Desk(answer), server_context(*pair)) as address:
        link = await Link.connect(address, SECRET, client_context(pair[0]))
        link.open(call(body=b"over TLS"), sink := Recorder())
        await ended(sink)
        assert link._transport is not None
        assert link._transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        link.close()
    assert (sink.body, sink.usage) == (b"over TLS", [Usage(1)])


async def test_a_foreign_certificate_is_refused(tmp_path: Path) -> None:
    ours, foreign = certificate(tmp_path, "ours"), certificate(tmp_path, "foreign")
    async with listening(desk := Desk(answer), server_context(*foreign)) as address:
        with pytest.raises(ssl.SSLCertVerificationError):
            await Link.connect(address, SECRET, client_context(ours[0]))
    assert desk.calls == []


async def test_the_name_in_the_certificate_counts(tmp_path: Path) -> None:
    context = client_context(certificate(tmp_path, "ours")[0])
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


async def test_plain_bytes_do_not_pass_where_tls_is_spoken(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "ours")
    async with listening(desk := Desk(answer), server_context(*pair)) as address:
        link = await Link.connect(Address(address.host, address.port), SECRET, None)
        link.open(call(), sink := Recorder())
        await ended(sink)
    assert (desk.calls, len(sink.errors)) == ([], 1)


async def test_an_older_tls_is_refused(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "ours")
    older = client_context(pair[0])
    older.minimum_version = older.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(Desk(answer), server_context(*pair)) as address:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await Link.connect(address, SECRET, older)


def test_only_the_owner_can_read_the_key(tmp_path: Path) -> None:
    _, key = certificate(tmp_path, "ours")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
