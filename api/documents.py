"""The OpenAPI document, with the bodies that routes check themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.errors import SCIM, SCIM_TYPE
from api.policy import GuardedRoute

REFERENCE = "#/components/schemas/{model}"
_shapes: set[type[BaseModel]] = set()


def takes(shape: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    """`openapi_extra` of a route whose body is `shape`."""
    _shapes.add(shape)
    schema = {"$ref": REFERENCE.format(model=shape.__name__)}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


ERRORS = {
    400: "The request is not valid; `param` names the field.",
    401: "No key or session, or none that is good.",
    403: "This caller may not do that.",
    404: "There is no such thing, or it belongs to somebody else.",
    408: "The body did not arrive in time.",
    409: "It exists already, or changed since it was read.",
    413: "The body is too large or too deep.",
    422: "The `Idempotency-Key` belongs to another request.",
    429: "Too many at once; `retry-after` says when to try again.",
    503: "A part that this needs is away; `retry-after` says when to try again.",
    504: "A deadline passed.",
}
ERROR_SHAPE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
SCIM_ERROR_SHAPE = {
    "type": "object",
    "required": ["schemas", "status", "detail"],
    "properties": {
        "schemas": {"type": "array", "items": {"type": "string"}},
        "status": {"type": "string"},
        "scimType": {"type": "string"},
        "detail": {"type": "string"},
    },
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers these errors besides those of its kind."""
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(model="Error")}}}
    return {status: {"description": ERRORS[status], "content": content} for status in statuses}


PUBLIC_STATUSES = (400, 404, 429, 503)
GUARDED_STATUSES = (401, 403)
BODY_STATUSES = (408, 409, 413, 422, 504)
WITH_BODY = {"post", "put", "patch", "delete"}


def name_errors(document: dict[str, Any], open_operations: set[tuple[str, str]]) -> None:
    """Give every operation the errors that it can answer; those of `open_operations` ask nobody who they are."""
    document["components"]["schemas"] |= {"Error": ERROR_SHAPE, "ScimError": SCIM_ERROR_SHAPE}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = list(PUBLIC_STATUSES)
            if (method, path) in open_operations:
                operation["security"] = []
            else:
                statuses += GUARDED_STATUSES
            if method in WITH_BODY:
                statuses += BODY_STATUSES
                statuses += [401, 403]  # a password, an origin
            operation["responses"].pop("422", None)  # FastAPI's own; ours is a 400
            for status in sorted(set(statuses)):
                kind, shape = (SCIM_TYPE, "ScimError") if path.startswith(SCIM) else ("application/json", "Error")
                content = {kind: {"schema": {"$ref": REFERENCE.format(model=shape)}}}
                operation["responses"].setdefault(str(status), {"description": ERRORS[status], "content": content})
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)


def install(app: FastAPI) -> None:
    """Make `app.openapi()` complete."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            shapes = sorted(_shapes, key=lambda shape: shape.__name__)
            _, schemas = models_json_schema([(shape, "validation") for shape in shapes], ref_template=REFERENCE)
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(schemas["$defs"])
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"bearer": []}]
            name_errors(document, open_operations(app))
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def open_operations(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of the routes that let everybody in."""
    return {
        (method.lower(), route.path_format)
        for route in app.routes
        if isinstance(route, GuardedRoute) and route.permission is None
        for method in route.methods
    }
