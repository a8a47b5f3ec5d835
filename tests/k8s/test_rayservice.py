"""`k8s/rayservice.yaml` against a schema of the fields it uses, Ray Serve's own schema, and our code."""

import copy
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.serve import Application
from ray.serve.schema import ServeDeploySchema

from api.ingress import APP as INGRESS_APP
from configs import switches
from configs.cluster import VARIABLE, Cluster
from configs.datadir import Layout
from configs.errors import ConfigurationError
from configs.specs import Configuration, IngressSpec
from k8s import applications
from serving.names import CONTROL_APP, search_apps
from tests.architecture.tracked import ROOT, text_of

MANIFEST: dict[str, Any] = yaml.safe_load(text_of("k8s/rayservice.yaml"))
SCHEMA = json.loads((ROOT / "k8s" / "schema" / "rayservice.v1.json").read_text())
CLUSTER = MANIFEST["spec"]["rayClusterConfig"]
PODS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
CHECK = jsonschema.Draft202012Validator(SCHEMA)


def test_the_manifest_fits_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert [error.message for error in CHECK.iter_errors(MANIFEST)] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(serveConfigV3=""),
        lambda spec: spec.pop("rayClusterConfig"),
        lambda spec: spec["rayClusterConfig"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
        lambda spec: spec["rayClusterConfig"]["workerGroupSpecs"][0].pop("maxReplicas"),
        lambda spec: spec["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"].pop("containers"),
        lambda spec: first_container(spec).update(image="manta:latest"),
        lambda spec: first_container(spec)["env"].append({"name": "RAY_X", "value": 1}),
        lambda spec: first_container(spec)["resources"]["limits"].update(memory="4 GB"),
    ],
)
def test_the_schema_sees_a_mistake(spoil: Callable[[dict[str, Any]], object]) -> None:
    spoilt = copy.deepcopy(MANIFEST)
    spoil(spoilt["spec"])
    assert not CHECK.is_valid(spoilt)


def first_container(spec: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    return container


def test_serve_takes_its_configuration_and_finds_the_applications() -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load(MANIFEST["spec"]["serveConfigV2"]))
    assert config.proxy_location == "Disabled"
    named = {app.name: app.import_path for app in config.applications}
    searching = dict.fromkeys(search_apps(Configuration().search.shards), "k8s.applications:search")
    assert named == {CONTROL_APP: "k8s.applications:control", INGRESS_APP: "k8s.applications:ingress", **searching}
    for path in named.values():
        builder = getattr(applications, path.partition(":")[2])
        assert len(inspect.signature(builder).parameters) == 1  # what Serve asks of a builder


@pytest.fixture
def cluster_of(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the cluster file of a configuration, and has MANTA_CLUSTER name it."""

    def write(**configuration: object) -> None:
        file = {
            "data_dir": str(layout.data_dir),
            "database_url": "postgresql://db.example.com/manta",
            "redis_url": "redis://cache.example.com",
            "link_secret": "of the link",
            "configuration": Configuration.model_validate(configuration).model_dump(mode="json"),
        }
        layout.cluster.write_text(Cluster.model_validate_json(json.dumps(file)).model_dump_json())
        monkeypatch.setenv(VARIABLE, str(layout.cluster))

    return write


def test_the_applications_are_built_from_the_cluster_file(cluster_of: Callable[..., None]) -> None:
    cluster_of(files={"to": "s3://files/manta"})
    for build in (applications.ingress, applications.control, applications.search):
        assert isinstance(build({}), Application)


def test_files_need_a_place_that_all_pods_see(cluster_of: Callable[..., None]) -> None:
    cluster_of()
    with pytest.raises(ConfigurationError, match="is not set: pods"):
        applications.ingress({})


def test_shards_are_those_of_the_configuration(cluster_of: Callable[..., None]) -> None:
    cluster_of(search={"shards": 2})
    for shard in ("0", "1"):
        assert isinstance(applications.search({"shard": shard}), Application)
    for wrong in ({}, {"shard": "2"}, {"shard": "one"}):
        with pytest.raises(ConfigurationError, match="the applications search-0, search-1"):
            applications.search(wrong)


def test_versions_names_and_times_fit() -> None:
    pinned = re.search(r'"ray\[serve\]==([\d.]+)"', text_of("pyproject.toml"))
    assert pinned
    assert CLUSTER["rayVersion"] == pinned[1]
    for pod in CLUSTER["workerGroupSpecs"]:
        assert pod["minReplicas"] <= pod["replicas"] <= pod["maxReplicas"]
        assert pod["template"]["spec"]["terminationGracePeriodSeconds"] > IngressSpec().drain_timeout_s
    for pod in PODS:
        spec = pod["template"]["spec"]
        (container,) = spec["containers"]
        mounted = {mount["name"]: Path(mount["mountPath"]) for mount in container["volumeMounts"]}
        assert mounted.keys() == {volume["name"] for volume in spec["volumes"]}
        environment = {each["name"]: each["value"] for each in container["env"]}
        assert Path(environment[VARIABLE]).parent == mounted["cluster"]


def test_the_switches_are_those_of_one_machine(layout: Layout) -> None:
    ours = switches.defaults({}) | switches.safety(layout)
    for pod in PODS:
        for each in pod["template"]["spec"]["containers"][0]["env"]:
            if each["name"] != VARIABLE:
                assert ours[each["name"]] == each["value"]
    assert CLUSTER["authOptions"]["mode"] == ours["RAY_AUTH_MODE"]
