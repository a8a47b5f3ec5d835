"""Forms as the real SDK writes them, cut anywhere; and forms that somebody made to do harm."""

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

from api.files.form import MAX_FIELD_BYTES, MAX_PARTS, Form, file_name
from configs.errors import BadRequest, PayloadTooLarge

LIMIT = 100_000
KIND = b"multipart/form-data; boundary=b"


def sent(content: bytes, name: str) -> tuple[bytes, bytes]:
    """What the SDK sends: content type and body."""
    seen: list[tuple[bytes, bytes]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.headers["content-type"].encode(), request.read()))
        told = {"id": "file-1", "bytes": 1, "created_at": 1, "filename": "x", "object": "file", "purpose": "batch"}
        return httpx2.Response(200, json={**told, "status": "processed"})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = OpenAI(api_key="x", base_url="http://example.com/v1", http_client=http)
    after = {"anchor": "created_at", "seconds": 3600}
    client.files.create(file=(name, content), purpose="user_data", expires_after=after)  # type: ignore[arg-type]
    return seen[0]


def fed(kind: bytes, body: bytes, step: int = 2**16, limit: int = LIMIT) -> tuple[Form, bytes]:
    form, content = Form(kind, limit), b""
    for start in range(0, len(body), step):
        content += b"".join(form.feed(body[start : start + step]))
    form.finish()
    return form, content


def part(head: str, body: bytes = b"x") -> bytes:
    return f"--b\r\nContent-Disposition: {head}\r\n\r\n".encode() + body + b"\r\n"


FILE_PART = part('form-data; name="file"; filename="a.txt"', b"text")
END = b"--b--\r\n"


@settings(deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 600))
def test_what_the_sdk_sends_arrives_however_it_is_cut(content: bytes, step: int) -> None:
    kind, body = sent(content, "Grüße 中.txt")
    form, got = fed(kind, body, step)
    assert (got, form.filename, form.size) == (content, "Grüße 中.txt", len(content))
    assert form.fields == {
        "purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600",
    }  # fmt: skip


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_a_cut_upload_is_no_upload(at: int) -> None:
    kind, body = sent(b"content" * 100, "a.txt")
    whole = len(body.rstrip(b"\r\n"))
    with pytest.raises(BadRequest):
        fed(kind, body[: at % whole])


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_noise_is_a_bad_request(noise: bytes) -> None:
    with pytest.raises(BadRequest):
        fed(KIND, b"--b\r\n" + noise)


@pytest.mark.parametrize(
    "body",
    [
        END,
        part('form-data; name="purpose"') + END,
        FILE_PART + FILE_PART + END,
        part('form-data; name="a"') + part('form-data; name="a"') + FILE_PART + END,
        part('form-data; name="file"') + END,
        part('form-data; filename="a"') + END,
        part('attachment; name="file"; filename="a"') + END,
        part('form-data; name="a"', b"\xff") + FILE_PART + END,
        part('form-data; name="a"', b"\0") + FILE_PART + END,
    ],
)
def test_a_form_that_is_not_right_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        fed(KIND, body)


@pytest.mark.parametrize("kind", [b"", b"application/json", b"multipart/form-data", b"multipart/form-data; boundary=",
                                  b"multipart/form-data; boundary=" + b"x" * 1000])  # fmt: skip
def test_what_names_no_form_is_refused(kind: bytes) -> None:
    with pytest.raises(BadRequest):
        Form(kind, LIMIT)


def test_every_limit_holds_while_it_arrives() -> None:
    file = part('form-data; name="file"; filename="a"', b"x" * 100)
    assert fed(KIND, file + END, limit=100)[0].size == 100
    many = b"".join(part(f'form-data; name="f{number}"') for number in range(MAX_PARTS + 1))
    long = part('form-data; name="f"', b"x" * (MAX_FIELD_BYTES + 1))
    for body, limit in ((file, 99), (many, LIMIT), (long, LIMIT)):
        with pytest.raises(PayloadTooLarge):
            fed(KIND, body, limit=limit)


def test_a_name_is_the_last_part_of_a_path() -> None:
    assert file_name("/etc/../a b.txt") == file_name("C:\\docs\\a b.txt") == "a b.txt"
    for good in (
        "Screenshot at 9.41.00\u202fAM.png",
        "\u4e2d\u3000.txt",
        "\U0001f469\u200d\U0001f4bb.md",
        "e\u0301.txt",
    ):
        assert file_name(good) == good
    for bad in ("", "/", "..", "a/..", "x" * 256, "a\nb", "a\u202eb", "a\x85b"):
        with pytest.raises(BadRequest):
            file_name(bad)
