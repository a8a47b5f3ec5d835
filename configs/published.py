"""The files of this package that others may have: the JSON Schema of the YAML."""

from importlib.resources import files

SCHEMA = "schema.json"


def schema() -> bytes:
    """The JSON Schema, as editors want it."""
    return files("configs").joinpath(SCHEMA).read_bytes()
