"""`manta serve` over TLS as a whole: the port, the page, the commands, and a certificate that is renewed."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.fixtures.certificates import write_pair
from tests.fixtures.stack import Stack, stack_in_folder

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    write_pair(folder, "localhost")
    return folder


@pytest.fixture(scope="module")
def secure(folder: Path) -> Iterator[Stack]:
    with stack_in_folder("model_list: []\n") as made:
        made.start("--tls-cert", str(folder / "tls.crt"), "--tls-key", str(folder / "tls.key"))
        made.url = f"https://localhost:{made.port}"
        made.until(lambda: answers(made, folder), 120, made.log)
        yield made


def asked(stack: Stack, folder: Path, path: str, **options: object) -> httpx2.Response:
    trust = ssl.create_default_context(cafile=folder / "tls.crt")
    return httpx2.get(f"{stack.url}{path}", verify=trust, timeout=10, trust_env=False, **options)  # type: ignore[arg-type]


def answers(stack: Stack, folder: Path) -> bool:
    try:
        return asked(stack, folder, "/readyz").status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def test_the_port_speaks_tls_alone(secure: Stack, folder: Path) -> None:
    page = asked(secure, folder, "/welcome")
    assert page.status_code == 200
    assert "default-src" in page.headers["content-security-policy"]
    listed = asked(secure, folder, "/api/keys", headers=secure.headers)
    assert listed.status_code == 200
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"http://localhost:{secure.port}/livez", timeout=5, trust_env=False)


def test_commands_find_their_way(secure: Stack) -> None:
    told = secure.manta("status", "--json", "--config", str(secure.config))
    assert told.returncode == 0, told.stderr
    assert '"https://' in told.stdout
    assert secure.manta("keys", "list", "--json", "--config", str(secure.config)).returncode == 0


def test_a_renewed_certificate_is_used(secure: Stack, folder: Path) -> None:
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"{secure.url}/livez", timeout=5, trust_env=False)
    write_pair(folder, "localhost")
    secure.until(lambda: answers(secure, folder), 30)
