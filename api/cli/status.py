"""`manta status`: is it up, and how does each part stand."""

import time
from typing import Any

import typer

from api.backup.standing import hindrances
from api.cli import processes
from api.cli.client import Client, operator_key
from api.cli.installation import Installation, Running
from api.cli.options import AsJson, Config, DataDir, Key, Url, application
from api.cli.output import console, print_json, size, table
from configs.errors import MantaError

app = application()

SINGLE = {"postgres", "valkey", "ray", "schema", "ingress"}


@app.command(epilog="Example: manta status --json")
def status(
    config: Config = None, data_dir: DataDir = None, url: Url = None, key: Key = None, as_json: AsJson = False
) -> None:
    """Tell what is up: parts, models, processes. Exit code 1 when it is not ready."""
    installation = Installation(config, data_dir)
    if url is not None:
        found = _remote(installation, url, key)
    else:
        running = installation.running()
        found = _local(installation, running) if running else _down(installation)
    if as_json:
        print_json(found)
    else:
        show(found)
    if found["status"] != "ready":
        raise typer.Exit(1)


def show(found: dict[str, Any]) -> None:
    """For people."""
    screen = console()
    if found["status"] == "down":
        screen.print(f"down: nothing runs in {found['data_dir']} (`manta serve` starts it)", markup=False)
        return
    pid = f", pid {found['pid']}" if found.get("pid") else ""
    screen.print(f"{found['status']}: {found['url']}{pid}", markup=False)
    if found.get("data_dir"):
        screen.print(f"data directory {found['data_dir']}", markup=False)
    for rows, columns in (
        ([{"part": name, "state": state} for name, state in found["parts"].items()], ["part", "state"]),
        ([{"model": row["id"], **row} for row in found["models"]], ["model", "kind", "state", "phase", "replicas"]),
        ([_weighed(row) for row in found.get("processes", [])], ["role", "processes", "memory", "CPU", "pids"]),
    ):
        if rows:
            screen.print()
            screen.print(table(rows, columns))


def _local(installation: Installation, running: Running) -> dict[str, Any]:
    found = processes.roles(installation.layout, running.pid)
    processes.watch(found)
    began = time.monotonic()
    with Client(running.url, None, running.certificate) as client:
        report = _report(client)
    if told := hindrances(installation.layout.data_dir):
        report["parts"]["backups"] = "; ".join(told)
    with Client(running.url, operator_key(installation), running.certificate) as client:
        report["models"] = _models(client, report["models"])
    time.sleep(max(0.0, processes.CPU_WINDOW_S - (time.monotonic() - began)))
    return {
        "status": report["status"],
        "url": running.url,
        "pid": running.pid,
        "data_dir": str(installation.layout.data_dir),
        "parts": report["parts"],
        "models": report["models"],
        "processes": [role.as_json() for role in found],
    }


def _remote(installation: Installation, url: str, key: str | None) -> dict[str, Any]:
    shown = installation.catalog.configuration.general_settings.tls_cert
    with Client(url, None, shown) as client:
        report = _report(client)
    settings = installation.catalog.settings
    own = settings.manta_api_key.get_secret_value() if settings.manta_api_key else None
    if key or own:
        with Client(url, key or own, shown) as client:
            report["models"] = _models(client, report["models"])
    return {"url": url, **report}


def _report(client: Client) -> dict[str, Any]:
    """/readyz as status, parts and models; the launcher's own answer names models as parts."""
    try:
        told = client.readiness()
    except MantaError as error:
        return {"status": "unreachable", "parts": {"port": error.message}, "models": []}
    parts = dict(told["parts"])
    states: dict[str, Any] = parts.pop("models", {})
    for name in [name for name in parts if name.startswith("model ")]:
        states[name.removeprefix("model ")] = {"state": "starting", "phase": parts.pop(name), "replicas": 0}
    models = [{"id": name, "kind": None, **state} for name, state in states.items()]
    return {"status": told["status"], "parts": parts, "models": models}


def _models(client: Client, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With kinds and sources, where the ingress is up."""
    try:
        rows: list[dict[str, Any]] = client.get("/api/models")["data"]
    except MantaError:
        return known
    return rows


def _down(installation: Installation) -> dict[str, Any]:
    return {"status": "down", "url": None, "data_dir": str(installation.layout.data_dir), "parts": {}, "models": []}


def _weighed(row: dict[str, Any]) -> dict[str, Any]:
    shown = " ".join(map(str, row["pids"][:6])) + (" …" if len(row["pids"]) > 6 else "")  # noqa: PLR2004
    return {
        "role": row["role"],
        "processes": len(row["pids"]),
        "memory": size(row["memory_bytes"]),
        "CPU": f"{row['cpu_percent']:.0f} %",
        "pids": shown,
    }
