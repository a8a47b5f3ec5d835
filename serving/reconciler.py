"""Serve applications made equal to a list of models, one application each.

It works on differences only: a model that did not change is not touched. It does not know where the list comes from.
"""

import logging
from collections.abc import Sequence

from ray import serve
from ray.serve.schema import ApplicationStatus

from configs.specs import ModelSpec
from serving.apps import model_app
from serving.names import APP_PREFIX, app_name
from serving.notes import forget_phase

log = logging.getLogger(__name__)


class Reconciler:
    """Blocking calls into Serve; run it in a thread."""

    def __init__(self) -> None:
        self._deployed: dict[str, str] = {}

    def reconcile(self, specs: Sequence[ModelSpec]) -> bool:
        """Deploy what is missing or changed, delete what is no longer wanted.

        Returns:
            Whether that is all; not while a wanted model's application of before is still being deleted.
        """
        wanted = {app_name(spec.model_name): spec for spec in specs}
        told = serve.status().applications
        applications = {name: each for name, each in told.items() if name.startswith(APP_PREFIX)}
        running = applications.keys()
        leaving = {
            name for name, application in applications.items() if application.status is ApplicationStatus.DELETING
        }
        for name in sorted(running - wanted.keys() - leaving):
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
        self._deployed = {name: spec.model_dump_json() for name, spec in wanted.items() if name not in leaving}
        return not leaving & wanted.keys()

    def forget(self, model_name: str) -> None:
        """The model was removed on purpose."""
        forget_phase(model_name)

    def _changed(self, name: str, spec: ModelSpec) -> bool:
        """A new `control` takes what runs for what is wanted: Serve restarts changed replicas by itself."""
        known = self._deployed.get(name)
        return known is not None and known != spec.model_dump_json()
