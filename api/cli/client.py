"""HTTP to a Manta that runs, here or elsewhere. Every failure is one sentence that names the way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx2
import orjson

from api.cli.installation import Installation
from api.keys import key_of
from api.tls import pinned
from configs import secretfiles
from configs.errors import ConfigurationError, Internal, MantaError, TimedOut, Unavailable

TIMEOUT_S = 30.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Client:
    """One server and one key. `certificate`: what a server on this machine shows, whatever name it is for."""

    def __init__(self, url: str, key: str | None, certificate: Path | None = None) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.key = key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        with self._faults():
            self.is_local = httpx2.URL(self.url).host in LOOPBACK
            known = certificate if self.is_local and self.url.startswith("https:") else None
            self._http = httpx2.Client(
                base_url=self.url,
                headers=headers,
                timeout=TIMEOUT_S,
                trust_env=not self.is_local,
                verify=pinned(known) if known is not None else True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str) -> Any:  # noqa: ANN401  any JSON
        """A JSON answer.

        Raises:
            MantaError: nobody answers, or the server refuses; its own words.
        """
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401  any JSON
        """Send JSON, get JSON; errors as `get`."""
        return self._call("POST", path, body)

    def upload(self, path: str, name: str, content: BinaryIO | bytes, fields: dict[str, str]) -> Any:  # noqa: ANN401  any JSON
        """Send a file in a form, read as it goes out; errors as `get`."""
        with self._faults():
            response = self._http.post(path, data=fields, files={"file": (name, content)})
        _refuse(response)
        return _json(response)

    def delete(self, path: str) -> Any:  # noqa: ANN401  any JSON
        """Delete; errors as `get`."""
        return self._call("DELETE", path)

    def text(self, path: str) -> str:
        """An answer that is no JSON; errors as `get`."""
        with self._faults():
            response = self._http.get(path)
        _refuse(response)
        return response.text

    def readiness(self) -> dict[str, Any]:
        """What /readyz tells, ready or not; errors as `get`."""
        with self._faults():
            response = self._http.get("/readyz")
        report: dict[str, Any] = _json(response)
        return report

    def events(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The server-sent events of a streamed answer, up to [DONE]; errors as `get`."""
        with self._faults(), self._http.stream("POST", path, json=body, timeout=None) as response:
            if response.status_code != httpx2.codes.OK:
                response.read()
                _refuse(response)
            for line in response.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    event: dict[str, Any] = orjson.loads(line[6:])
                    if "error" in event:
                        raise Unavailable(str(event["error"]["message"]))
                    yield event

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        with self._faults():
            response = self._http.request(method, path, json=body)
        _refuse(response)
        return _json(response)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                msg = f"the certificate of {self.url} is not trusted: {_distrust(error)}"
                raise Unavailable(msg) from error
            msg = f"nothing answers at {self.url}: is it running? `manta status` tells, `manta serve` starts it"
            raise Unavailable(msg) from error
        except httpx2.TimeoutException as error:
            raise TimedOut(f"{self.url} does not answer in time: `manta status` tells how it stands") from error
        except httpx2.InvalidURL as error:
            raise ConfigurationError(f"{self.url!r} is no address; it has the form http://host:port") from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"the connection to {self.url} broke: `manta logs` may tell why") from error


def connect(installation: Installation, url: str | None = None, key: str | None = None) -> Client | None:
    """The server that the options, the environment or the data directory name; None when nothing runs here.

    Raises:
        ConfigurationError: a server elsewhere is named without a key.
    """
    settings = installation.catalog.settings
    own = settings.manta_api_key.get_secret_value() if settings.manta_api_key else None
    named, key = url or settings.manta_url, key or own
    if named:
        if key is None:
            raise ConfigurationError(f"a key for {named} is missing: set MANTA_API_KEY (`manta keys create` makes one)")
        return Client(named, key, installation.catalog.configuration.general_settings.tls_cert)
    running = installation.running()
    return Client(running.url, key or operator_key(installation), running.certificate) if running else None


def require(installation: Installation, url: str | None = None, key: str | None = None) -> Client:
    """As `connect`, for commands that need a server.

    Raises:
        ConfigurationError: nothing runs, or the key is missing.
    """
    client = connect(installation, url, key)
    if client is None:
        installation.require_running()
        raise Internal("the stack ended just now")
    return client


def operator_key(installation: Installation) -> str:
    """The key that can do everything, from the data directory's secrets.

    Raises:
        ConfigurationError: the data directory belongs to somebody else.
    """
    return key_of(secretfiles.read_or_make(installation.layout.secrets, "operator_key", 32))


def _distrust(error: httpx2.ConnectError) -> str:
    if "expired" in str(error):
        return "it has expired; renew it"
    return "its authority is unknown here (SSL_CERT_FILE may name it), or it is for another name"


def _refuse(response: httpx2.Response) -> None:
    if response.is_success:
        return
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the server answered with status {response.status_code}"
    raise Refusal(message, response.status_code)


def _json(response: httpx2.Response) -> Any:  # noqa: ANN401
    try:
        return response.json()
    except ValueError as error:
        raise Unavailable(f"{response.url} answers, but is no Manta: check --url or --port") from error


class Refusal(MantaError):
    """The server said no."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
