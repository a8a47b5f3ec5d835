"""What routes use, made once per ingress by `api.ingress` and found at `app.state.services`."""

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from api.db.session import Database
from api.directory import Directory
from api.doorkeeper import Doorkeeper
from api.outbox import Outbox
from api.readiness import Readiness
from configs.cluster import Cluster
from serving.gateway import Gateway


@dataclass(frozen=True)
class Services:
    """The parts behind the routes."""

    cluster: Cluster
    database: Database
    directory: Directory
    doorkeeper: Doorkeeper
    gateway: Gateway
    outbox: Outbox
    readiness: Readiness


def services_of(request: Request) -> Services:
    """The services of the application that answers `request`."""
    return cast("Services", request.app.state.services)
