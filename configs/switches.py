"""The switches of Ray, vLLM and Hugging Face, set before any of them is imported: they read the environment once.

This is the one place that names them. What must hold for safety (loopback, token) comes first.
"""

import os
from collections.abc import Mapping

from configs.cluster import VARIABLE
from configs.datadir import Layout
from configs.settings import Settings

KEPT = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
)  # fmt: skip
KEPT_PREFIXES = ("VLLM_", "HF_", "RAY_", "OMP_", "NCCL_", "COVERAGE_", "TORCH", "CUDA_")


def environment(layout: Layout, settings: Settings) -> dict[str, str]:
    """The whole environment of Ray and everything in it: what a process needs, and the switches."""
    kept = {name: text for name, text in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
    return kept | defaults(kept) | hugging_face(settings) | safety(layout) | {VARIABLE: str(layout.cluster)}


def archivist(layout: Layout, settings: Settings) -> dict[str, str]:
    """The environment of the process that takes backups: it alone gets what boto3 reads."""
    bucket = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    return environment(layout, settings) | bucket


def safety(layout: Layout) -> dict[str, str]:
    """Not up for choice: Ray listens on loopback only and wants a token; no folder's `models` hides the package."""
    return {
        "PYTHONSAFEPATH": "1",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's word for: this node is 127.0.0.1, bind nothing else
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(layout.ray_token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_gcs_storage": "rocksdb",  # so that a killed GCS comes back with what it knew
        "RAY_gcs_storage_path": str(layout.ray / "gcs"),
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",  # it would open a port without a key per replica
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "0",  # handles call actors; serving/closed_door.py says what the other way is
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }


def defaults(given: Mapping[str, str]) -> dict[str, str]:
    """What an operator may set otherwise."""
    switches = {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",  # our code on the replica's own loop
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "5000",
        "RAY_metrics_report_interval_ms": "10000",
        "REPORTER_UPDATE_INTERVAL_MS": "10000",
        "SCAN_EVENT_DIR_INTERVAL_SECONDS": "60",  # of an event log that nobody writes here
        "RAY_gcs_pull_resource_loads_period_milliseconds": "5000",  # for an autoscaler of machines
        "RAY_raylet_report_resources_period_milliseconds": "500",
        "RAY_memory_monitor_refresh_ms": "1000",
        "RAY_event_stats": "0",  # of Ray's own handlers, measured a hundred times a second in each process
        "RAY_DEDUP_LOGS": "0",
        "RAY_worker_niceness": "0",  # Ray makes workers nice (15); here they are what the machine is for
        "RAY_kill_child_processes_on_worker_exit_with_raylet_subreaper": "true",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {name: text for name, text in switches.items() if name not in given}


def hugging_face(settings: Settings) -> dict[str, str]:
    """What `.env` or a secret's file may have said."""
    found: dict[str, str] = {}
    if settings.hf_token is not None:
        found["HF_TOKEN"] = settings.hf_token.get_secret_value()
    if settings.hf_home is not None:
        found["HF_HOME"] = str(settings.hf_home)
    if settings.hf_hub_offline:
        found["HF_HUB_OFFLINE"] = "1"
    return found


def apply_hugging_face(settings: Settings) -> None:
    """Tell this process's Hugging Face library, before its import, what `.env` or a secret's file said."""
    os.environ.update(hugging_face(settings))
