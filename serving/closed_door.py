"""Keeps a door of Ray Serve shut: the gRPC server that each replica opens for calls between deployments.

Ray 2.60 binds it to every address, without a key, and unpickles what arrives: whoever reaches the port runs code. Calls
of handles go through actors unless asked otherwise, so nothing here needs it. Serve has no setting for it; the one
name that binds the port is replaced, before Serve calls it (after a deployment's `__init__`).
"""

from ray.serve._private import replica

NO_PORT = 0


def shut() -> None:
    """Call this first in the `__init__` of every deployment; `tests/stack/test_access.py` holds it."""
    replica.add_port_to_grpc_server = _bind_nothing


def _bind_nothing(*_server_and_address: object) -> int:
    return NO_PORT
