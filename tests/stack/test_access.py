"""Keys, and who reaches what."""

import ipaddress

import openai
import psutil
import pytest

from tests.fixtures.stack import Stack, command_line

pytestmark = pytest.mark.stack

LOCAL = {"/metrics"}
"""Open to callers on this machine."""


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer sk-wrong", "Basic abc", "Bearer sk-é", "Bearer '; drop table keys --"]
)
def test_wrong_or_missing_key_is_401(stack: Stack, authorization: str) -> None:
    answer = stack.get("/v1/models", headers={"authorization": authorization.encode("latin-1")})
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_api_key"
    assert "www-authenticate" in answer.headers


def test_every_route_wants_a_key_unless_it_says_otherwise(stack: Stack) -> None:
    """Which ones say so stands in tests/api/routes/test_matrix.py."""
    document, asked = stack.get("/openapi.json").json(), 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation.get("security") == [] or path in LOCAL:
                continue
            where = path.replace("{", "").replace("}", "")
            answer = stack.request(method.upper(), where, headers={"authorization": ""})
            assert answer.status_code == 401, (method, path, answer.status_code)
            asked += 1
    assert asked > 50


def test_a_revoked_key_is_refused_at_once_and_a_narrow_one_may_only_do_its_part(stack: Stack) -> None:
    made = stack.request("POST", "/api/keys", json={"name": "narrow", "permissions": ["inference"]}).json()
    client = stack.sdk(api_key=made["key"])
    assert client.models.list().data
    with pytest.raises(openai.PermissionDeniedError):
        client.get("/../api/keys", cast_to=object)
    assert stack.request("DELETE", f"/api/keys/{made['id']}").status_code == 200
    stack.until(lambda: _refused(client), 5)
    assert made["key"] not in stack.get("/api/keys").text


def _refused(client: openai.OpenAI) -> bool:
    try:
        client.models.list()
    except openai.AuthenticationError:
        return True
    return False


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    processes = [psutil.Process(stack.pid), *stack.all_processes()]
    listening = [
        (command_line(process)[:60], connection.laddr)
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    beyond = [place for place in listening if not is_loopback(place[1].ip)]
    assert beyond == []


def test_what_answers_on_each_port_wants_a_secret_or_tells_no_content(stack: Stack) -> None:
    """Ray's exporters take no token: they give numbers with process names, and nothing that a client sent."""
    ports = {
        connection.laddr.port
        for process in stack.all_processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port != stack.port
    }
    for port in ports:
        page = _plain_get(port)
        assert stack.key not in page
        assert "HTTP/1.1 200" not in page or "# HELP" in page or "success" in page.lower(), (port, page[:300])


def is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def _plain_get(port: int) -> str:
    import socket

    with socket.create_connection(("127.0.0.1", port), 2) as line:
        line.settimeout(2)
        line.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        try:
            return line.recv(65536).decode("latin-1")
        except (TimeoutError, ConnectionError):
            return ""
