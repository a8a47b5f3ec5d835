"""vLLM's refusals in our words.

vLLM's messages can repeat what a client sent and name files of this machine, so none is passed on, and the log has them
at level debug only: the client gets a sentence of ours with the number or the field that matters.
"""

import logging
import re
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from configs.errors import BadRequest, ContextTooLong, EngineDied, Internal, MantaError, ModelNotFound, Overloaded

log = logging.getLogger(__name__)

CONTEXT = re.compile(
    r"(maximum (context|model|input) length|max_model_len|longer than the maximum|context length)", re.I
)
TOOLS_OFF = re.compile(r"enable-auto-tool-choice|tool-call-parser", re.I)
NO_TEMPLATE = "This model has no chat template: it serves /v1/completions."
FIELD = re.compile(r"^[a-z_][a-z0-9_.]{0,63}$")
NOTED: ContextVar[list[MantaError]] = ContextVar("noted")
OVERLOADED = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}


def refusal(message: str, *, status: int, param: str | None, window: int) -> MantaError:
    """What a client is told when vLLM refused its request.

    Args:
        message: vLLM's own text, matched, never passed on.
        status: HTTP status that vLLM chose.
        param: the field that vLLM blames, if any.
        window: the model's context length in tokens.
    """
    own = NOTED.get([])
    return own[0] if own else _in_our_words(message, status, param, window)


def _in_our_words(message: str, status: int, param: str | None, window: int) -> MantaError:
    log.info("vLLM refused a request (status %s, field %s)", status, param if param and FIELD.match(param) else None)
    log.debug("vLLM's words: %.300s", message)
    if status == HTTPStatus.NOT_FOUND:
        return ModelNotFound("This replica does not serve that model.", param="model")
    if status in OVERLOADED:
        return Overloaded("The model's queue is full.", retry_after_s=1.0)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
        return Internal("The engine failed on this request.")
    return _bad_request(message, param if param and FIELD.match(param) else None, window)


def _bad_request(message: str, field: str | None, window: int) -> MantaError:
    if CONTEXT.search(message):
        text = f"The prompt and the tokens asked for do not fit this model's window of {window} tokens."
        return ContextTooLong(text, param="messages")
    if TOOLS_OFF.search(message):
        text = "This model is served without tool calls; its entry needs enable_auto_tool_choice and tool_call_parser."
        return BadRequest(text, param="tool_choice")
    return BadRequest(
        f"The model cannot honour {field!r} as given." if field else "The model refused this request.", param=field
    )


def expect_own() -> None:
    """A request begins in this task: what `note` says from now on is about it."""
    NOTED.set([])


def note(error: MantaError) -> None:
    """Our own refusal, raised below vLLM's handlers, which turn what they do not know into an internal error."""
    NOTED.get([]).append(error)


def from_response(response: Any, window: int) -> MantaError:
    """From vLLM's `ErrorResponse`."""
    error = response.error
    return refusal(error.message, status=int(error.code), param=error.param, window=window)


def from_exception(error: Exception, window: int) -> MantaError:
    """From whatever vLLM raised; an unknown exception is logged with its trace and becomes an internal error."""
    if isinstance(error, MantaError):
        return error
    from vllm.entrypoints.chat_utils import ChatTemplateResolutionError  # noqa: PLC0415
    from vllm.entrypoints.serve.exception_handling.error_response import create_error_response  # noqa: PLC0415
    from vllm.v1.engine.exceptions import EngineDeadError  # noqa: PLC0415

    if isinstance(error, EngineDeadError):
        return EngineDied("The engine ended before it took this request.")
    if isinstance(error, ChatTemplateResolutionError):
        return BadRequest(NO_TEMPLATE, param="messages")
    response = create_error_response(error)
    if response.error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("vLLM failed on a request", exc_info=error)
    return from_response(response, window)
