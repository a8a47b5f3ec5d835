import os
from pathlib import Path

import pytest

from api.cli.checks.certificate import check
from api.cli.installation import Installation, announce, reachable_url
from configs.datadir import Layout
from configs.specs import GeneralSettings
from tests.fixtures.certificates import write_pair


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [(30, "ok", "good for 29 days"), (3, "warn", "expires in 2 days"), (-1, "fail", "expired")],
)
def test_doctor_tells_how_long_it_is_good(tmp_path: Path, days: int, status: str, words: str) -> None:
    pair = write_pair(tmp_path, days=days)
    (found,) = check(GeneralSettings(tls_cert=pair.certificate, tls_key=pair.key))
    assert (found.status, words in found.message) == (status, True)


def test_doctor_tells_why_it_cannot_be_used(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    pair.key.chmod(0o644)
    (found,) = check(GeneralSettings(tls_cert=pair.certificate, tls_key=pair.key))
    assert (found.status, "open to others" in found.message) == ("fail", True)
    assert list(check(GeneralSettings())) == []


def test_a_command_learns_the_certificate_of_what_runs_here(layout: Layout, tmp_path: Path) -> None:
    url, installation = reachable_url("0.0.0.0", 8443, "https"), Installation(data_dir=layout.data_dir)
    assert url == "https://127.0.0.1:8443"
    with layout.hold(command="manta serve", port=8443):
        for certificate in (tmp_path / "tls.crt", None):
            announce(layout, os.getpid(), url, certificate)
            running = installation.running()
            assert running is not None
            assert (running.url, running.certificate) == (url, certificate)
        announce(layout, os.getpid() + 1, url, tmp_path / "tls.crt")  # of an earlier run
        running = installation.running()
        assert running is not None
        assert (running.url, running.certificate) == ("http://127.0.0.1:8443", None)
