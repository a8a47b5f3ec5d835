"""Plain calls to a Serve deployment by name, for what is asked seldom.

A handle is kept and used again: each one is a router with a subscription of its own and a dozen metrics, and Serve
never takes one back.
"""

import asyncio
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from configs.errors import MantaError, Unavailable

_handles: dict[tuple[str, str], DeploymentHandle] = {}


async def call(app: str, deployment: str, method: str, *arguments: Any, timeout_s: float) -> Any:  # noqa: ANN401  what the method returns
    """What `method` of a deployment returns.

    Raises:
        MantaError: what the method raised.
        Unavailable: it is not running, or did not answer in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await getattr(_handle(app, deployment), method).remote(*arguments)
    except RayTaskError as error:
        if isinstance(error.cause, MantaError):
            raise error.cause from None
        raise Unavailable(f"{deployment} failed ({type(error.cause).__name__}).") from error
    except (TimeoutError, RayError, RayServeException) as error:
        if isinstance(error, RayServeException):
            _handles.pop((app, deployment), None)
        raise Unavailable(f"{deployment} did not answer ({type(error).__name__}).") from error


def _handle(app: str, deployment: str) -> DeploymentHandle:
    known = _handles.get((app, deployment))
    if known is None:
        known = _handles[app, deployment] = DeploymentHandle(deployment, app)
    return known
