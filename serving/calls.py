"""Plain calls to a Serve deployment by name, for what is asked seldom."""

import asyncio
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from configs.errors import MantaError, Unavailable


async def call(app: str, deployment: str, method: str, *arguments: Any, timeout_s: float) -> Any:  # noqa: ANN401  what the method returns
    """What `method` of a deployment returns.

    Raises:
        MantaError: what the method raised.
        Unavailable: it is not running, or did not answer in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await getattr(DeploymentHandle(deployment, app), method).remote(*arguments)
    except RayTaskError as error:
        if isinstance(error.cause, MantaError):
            raise error.cause from None
        raise Unavailable(f"{deployment} failed ({type(error.cause).__name__}).") from error
    except (TimeoutError, RayError, RayServeException) as error:
        raise Unavailable(f"{deployment} did not answer ({type(error).__name__}).") from error
