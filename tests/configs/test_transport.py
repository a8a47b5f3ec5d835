"""The settings of `general_settings` that say who may reach the front port, and how."""

import json
from pathlib import Path

import pytest

from configs.arguments import parse
from configs.cluster import Cluster
from configs.specs import GeneralSettings
from tests.configs.conftest import Load, Problems

BOTH = {"tls_cert": "/etc/manta/tls.crt", "tls_key": "/etc/manta/tls.key"}


def test_flags_name_certificate_and_key(catalog_of: Load) -> None:
    given = parse(["--tls-cert", "/etc/manta/tls.crt", "--tls-key=/etc/manta/tls.key"]).flags
    general = catalog_of("{}", flags=given).configuration.general_settings

    assert (general.tls_cert, general.tls_key) == (Path("/etc/manta/tls.crt"), Path("/etc/manta/tls.key"))
    assert general.scheme == "https"
    assert GeneralSettings().scheme == "http"


def test_a_path_counts_from_where_the_command_was_given(
    catalog_of: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/srv/home")
    general = catalog_of("general_settings: {tls_cert: tls.crt, tls_key: ~/tls.key}").configuration.general_settings

    assert (general.tls_cert, general.tls_key) == (tmp_path / "tls.crt", Path("/srv/home/tls.key"))


def test_replicas_read_what_the_launcher_wrote(catalog_of: Load, tmp_path: Path) -> None:
    lists = {"trusted_proxies": ["10.0.0.0/8"], "allowed_origins": ["https://a.example.com"]}
    configuration = catalog_of(json.dumps({"general_settings": {**BOTH, **lists}})).configuration
    given = {"data_dir": tmp_path, "database_url": "postgresql://x", "redis_url": "redis://x", "link_secret": "x"}
    Cluster.model_validate({**given, "configuration": configuration}).write(tmp_path / "cluster.json")

    assert Cluster.read(tmp_path / "cluster.json").configuration == configuration


@pytest.mark.parametrize("given", sorted(BOTH))
def test_a_certificate_and_its_key_go_together(problems_of: Problems, given: str) -> None:
    (problem,) = problems_of(json.dumps({"general_settings": {given: BOTH[given]}}))

    assert "'tls_cert' and 'tls_key' go together" in problem


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("fd00::/8", "fd00::/8"),
    ],
)
def test_a_network_of_proxies_is_read(catalog_of: Load, written: str, read: str) -> None:
    text = json.dumps({"general_settings": {"trusted_proxies": [written]}})

    assert catalog_of(text).configuration.general_settings.trusted_proxies == (read,)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("a.example.com", "no network"),
        ("10.0.0.0/33", "no network"),
        ("", "no network"),
        ("0.0.0.0/0", "everybody"),
        ("::/0", "everybody"),
    ],
)
def test_what_is_no_network_or_everybody_is_refused(problems_of: Problems, written: str, words: str) -> None:
    (problem,) = problems_of(json.dumps({"general_settings": {"trusted_proxies": [written]}}))

    assert words in problem


@pytest.mark.parametrize("origin", ["*", "a.example.com", "https://a.example.com/", "null", ""])
def test_an_origin_is_a_scheme_and_a_host(problems_of: Problems, origin: str) -> None:
    (problem,) = problems_of(json.dumps({"general_settings": {"allowed_origins": [origin]}}))

    assert "http:// or https:// with a host" in problem


@pytest.mark.parametrize("name", ["ssl_keyfile", "ssl_certfile"])
def test_vllms_own_names_lead_to_ours(problems_of: Problems, name: str) -> None:
    spec = {"model_name": "m", "params": {"model": "vllm/m"}, "engine": {name: "x"}}
    (problem,) = problems_of(json.dumps({"model_list": [spec]}))

    assert "general_settings.tls_cert" in problem
