"""How Serve says that models stand. It only looks; `serving.reconciler` acts."""

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
from serving.apps import DEPLOYMENT
from serving.names import app_name
from serving.notes import read_failure, read_phase

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


class Status:
    """Blocking calls into Serve, each answer good for FRESH_S; run it in a thread."""

    def __init__(self) -> None:
        self._seen: dict[str, ApplicationStatusOverview] = {}
        self._seen_at = 0.0
        self._looking = threading.Lock()

    def states(self, specs: Sequence[ModelSpec]) -> dict[str, ModelState]:
        """How each model stands."""
        applications = self._applications()
        return {spec.model_name: _state(spec, applications.get(app_name(spec.model_name))) for spec in specs}

    def failed(self, app: str) -> bool:
        """Whether Serve gave up starting an application."""
        application = self._applications().get(app)
        return application is not None and STATES.get(application.status) == "failed"

    def _applications(self) -> dict[str, ApplicationStatusOverview]:
        """Asking Serve costs 40 ms of CPU, and probes ask often."""
        with self._looking:
            if time.monotonic() - self._seen_at > FRESH_S:
                self._seen = serve.status().applications
                self._seen_at = time.monotonic()
            return self._seen


def _state(spec: ModelSpec, application: ApplicationStatusOverview | None) -> ModelState:
    if application is None:
        return ModelState("absent", "", 0)
    deployment = _deployment(application)
    replicas = deployment.replica_states.get(ReplicaState.RUNNING, 0) if deployment else 0
    state = STATES.get(application.status, "starting")
    if state == "ready" and replicas == 0:
        state = "asleep" if spec.autoscaling.min_replicas == 0 else "restarting"
    phase = state if state in ("ready", "asleep", "failed") else read_phase(spec.model_name) or "waiting"
    return ModelState(state, phase, replicas, _why(spec.model_name, application) if state == "failed" else "")


def _why(model: str, application: ApplicationStatusOverview) -> str:
    """The replica's own words; else Serve's of the deployment, else of the application, which tell less and less."""
    deployment = _deployment(application)
    return read_failure(model) or (deployment.message if deployment else "") or application.message


def _deployment(application: ApplicationStatusOverview) -> DeploymentStatusOverview | None:
    return application.deployments.get(DEPLOYMENT)
