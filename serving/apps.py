"""A model's entry to a Serve application: one per model, so that adding one leaves the others alone."""

from typing import Any

from ray import serve
from ray.serve import Application

from configs.scaling_specs import Autoscaling
from configs.specs import ModelSpec
from serving.replica import Replica

DEPLOYMENT = "replica"
HEALTH_PERIOD_S = 10.0
HEALTH_TIMEOUT_S = 90.0
DRAIN_LOOP_S = 0.25
DRAIN_TIMEOUT_S = 60.0
START_TRIES = 3


def model_app(spec: ModelSpec) -> Application:
    """What `serve.run(..., name=app_name(spec.model_name), route_prefix=None)` is given."""
    deployment = serve.deployment(Replica, name=DEPLOYMENT).options(
        **scaling(spec.autoscaling),
        max_ongoing_requests=spec.max_ongoing_requests,
        max_queued_requests=spec.max_queued_requests,
        ray_actor_options=spec.ray_actor_options.model_dump(exclude_none=True),
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=DRAIN_LOOP_S,
        graceful_shutdown_timeout_s=DRAIN_TIMEOUT_S,
        max_constructor_retry_count=START_TRIES,
    )
    return deployment.bind(spec.model_dump_json())


def scaling(autoscaling: Autoscaling) -> dict[str, Any]:
    """A fixed number where minimum and maximum are the same: then Serve need not watch."""
    if autoscaling.min_replicas == autoscaling.max_replicas:
        return {"num_replicas": autoscaling.max_replicas}
    return {"autoscaling_config": autoscaling.model_dump(exclude_none=True)}
