"""The OpenAPI document, with the bodies that routes check themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

REFERENCE = "#/components/schemas/{model}"
_shapes: set[type[BaseModel]] = set()


def takes(shape: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route whose body is `shape`."""
    _shapes.add(shape)
    schema = {"$ref": REFERENCE.format(model=shape.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


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
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
