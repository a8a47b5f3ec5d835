"""The error tree as HTTP: the one place where a status is written and an error becomes JSON.

The shape is OpenAI's: {"error": {"message", "type", "param", "code"}}; below /scim/ it is SCIM's. Unexpected
exceptions become an internal error whose text tells the request id and nothing else.
"""

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.context import context_of
from configs import errors

log = logging.getLogger(__name__)

SCIM = "/scim/"
SCIM_TYPE = "application/scim+json"
SCIM_TYPES = {"invalidFilter", "invalidPath", "invalidValue", "noTarget", "mutability"}

STATUS: dict[type[errors.MantaError], int] = {
    errors.BadRequest: 400,
    errors.BodyTimedOut: 408,
    errors.PayloadTooLarge: 413,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.IdempotencyMismatch: 422,
    errors.Overloaded: 429,
    errors.Unavailable: 503,
    errors.TimedOut: 504,
    errors.MantaError: 500,
}


def status_of(error: errors.MantaError) -> int:
    """The HTTP status of an error: that of its nearest ancestor in the table."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def body_of(error: errors.MantaError, request_id: str) -> bytes:
    """The JSON body of an error."""
    message = error.message
    if status_of(error) >= 500 and request_id:  # noqa: PLR2004
        message = f"{message} (request {request_id})"
    code = error.code
    return orjson.dumps({"error": {"message": message, "type": error.kind, "param": error.param, "code": code}})


def event_of(error: errors.MantaError, request_id: str) -> bytes:
    """The error as the last event of a stream that has begun."""
    return b"data: " + body_of(error, request_id) + b"\n\n"


def scim_body_of(error: errors.MantaError, request_id: str) -> bytes:
    """The JSON body of an error as RFC 7644 has it."""
    status, message = status_of(error), error.message
    if status >= 500 and request_id:  # noqa: PLR2004
        message = f"{message} (request {request_id})"
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": message}
    if isinstance(error, errors.Conflict) and error.param is not None:
        body["scimType"] = "uniqueness"
    elif isinstance(error, errors.BadRequest):
        body["scimType"] = error.code if error.code in SCIM_TYPES else "invalidSyntax"
    return orjson.dumps(body)


def response_of(error: errors.MantaError, request_id: str, path: str = "") -> Response:
    """The error as an answer to a request of this path."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, errors.Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, errors.PayloadTooLarge):
        headers["connection"] = "close"
    if path.startswith(SCIM):
        return Response(scim_body_of(error, request_id), status_of(error), headers, SCIM_TYPE)
    return Response(body_of(error, request_id), status_of(error), headers, "application/json")


def install(app: FastAPI) -> None:
    """Render every error of `app` here."""
    app.add_exception_handler(errors.MantaError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(Exception, _unexpected)


def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.MantaError)
    context = context_of(request.scope)
    return response_of(error, context.request_id, context.path)


def _invalid(request: Request, error: Exception) -> Response:
    """A path or query parameter that FastAPI refused; bodies are checked by `api.validation`."""
    assert isinstance(error, RequestValidationError)
    where = error.errors()[0].get("loc", ())
    param = str(where[-1]) if where else None
    return _expected(request, errors.BadRequest(f"The parameter {param!r} is not valid.", param=param))


def _of_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known: dict[int, Any] = {404: errors.RouteNotFound, 405: errors.MethodNotAllowed}
    cls = known.get(error.status_code, errors.BadRequest)
    texts = {404: "There is no such path.", 405: "This path does not take that method."}
    return _expected(request, cls(texts.get(error.status_code, "The request is not valid.")))


def _unexpected(request: Request, error: Exception) -> Response:
    context = context_of(request.scope)
    log.error("request %s failed unexpectedly", context.request_id, exc_info=error)
    internal = errors.Internal("Something failed here; the log has the rest.")
    return response_of(internal, context.request_id, context.path)
