"""Serve applications made equal to a list of models, one application each.

It works on differences only: a model that did not change is not touched. It does not know where the list comes from.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ray import serve
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatusOverview,
    ReplicaState,
)

from configs.specs import ModelSpec
from serving.apps import DEPLOYMENT, model_app
from serving.names import APP_PREFIX, app_name
from serving.notes import forget_phase, read_failure, read_phase

log = logging.getLogger(__name__)

FRESH_S = 1.0

STATES = {
    ApplicationStatus.RUNNING: "ready",
    ApplicationStatus.DEPLOYING: "starting",
    ApplicationStatus.NOT_STARTED: "starting",
    ApplicationStatus.DELETING: "stopping",
    ApplicationStatus.UNHEALTHY: "restarting",
    ApplicationStatus.DEPLOY_FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class ModelState:
    """How a model stands. `state`: starting, ready, asleep, restarting, failed, stopping or absent."""

    state: str
    phase: str
    replicas: int
    message: str = ""


class Reconciler:
    """Blocking calls into Serve; run it in a thread."""

    def __init__(self) -> None:
        self._deployed: dict[str, str] = {}
        self._seen: dict[str, ApplicationStatusOverview] = {}
        self._seen_at = 0.0
        self._looking = threading.Lock()

    def reconcile(self, specs: Sequence[ModelSpec]) -> None:
        """Deploy what is missing or changed, delete what is no longer wanted."""
        wanted = {app_name(spec.model_name): spec for spec in specs}
        running = {name for name in serve.status().applications if name.startswith(APP_PREFIX)}
        for name in sorted(running - wanted.keys()):
            log.info("removing %s", name)
            serve.delete(name, _blocking=False)
            self._deployed.pop(name, None)
        fresh = [
            serve.RunTarget(model_app(spec), name=name, route_prefix=None)
            for name, spec in wanted.items()
            if name not in running or self._changed(name, spec)
        ]
        if fresh:
            log.info("deploying %s", ", ".join(target.name for target in fresh))
            serve.run_many(fresh, wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)
        self._deployed = {name: spec.model_dump_json() for name, spec in wanted.items()}

    def states(self, specs: Sequence[ModelSpec]) -> dict[str, ModelState]:
        """How each model stands."""
        applications = self._applications()
        return {spec.model_name: _state(spec, applications.get(app_name(spec.model_name))) for spec in specs}

    def _applications(self) -> dict[str, ApplicationStatusOverview]:
        """Asking Serve costs 40 ms of CPU, and probes ask often."""
        with self._looking:
            if time.monotonic() - self._seen_at > FRESH_S:
                self._seen = serve.status().applications
                self._seen_at = time.monotonic()
            return self._seen

    def forget(self, model_name: str) -> None:
        """The model was removed on purpose."""
        forget_phase(model_name)

    def _changed(self, name: str, spec: ModelSpec) -> bool:
        """A new `control` takes what runs for what is wanted: Serve restarts changed replicas by itself."""
        known = self._deployed.get(name)
        return known is not None and known != spec.model_dump_json()


def _state(spec: ModelSpec, application: ApplicationStatusOverview | None) -> ModelState:
    if application is None:
        return ModelState("absent", "", 0)
    deployment = application.deployments.get(DEPLOYMENT)
    replicas = deployment.replica_states.get(ReplicaState.RUNNING, 0) if deployment else 0
    state = STATES.get(application.status, "starting")
    if state == "ready" and replicas == 0:
        state = "asleep" if spec.autoscaling.min_replicas == 0 else "restarting"
    phase = state if state in ("ready", "asleep", "failed") else read_phase(spec.model_name) or "waiting"
    return ModelState(state, phase, replicas, _why(spec, application, deployment) if state == "failed" else "")


def _why(spec: ModelSpec, application: ApplicationStatusOverview, deployment: DeploymentStatusOverview | None) -> str:
    """The replica's own words; else Serve's of the deployment, else of the application, which tell less and less."""
    return read_failure(spec.model_name) or (deployment.message if deployment else "") or application.message
