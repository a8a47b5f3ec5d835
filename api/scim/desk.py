"""Where a directory's requests are dealt with: who asks, for which organization, through which front."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from api.audit.record import record_each
from api.context import Context, context_of
from api.db.session import Database, Unit
from api.policy import caller
from api.principal import Principal
from api.scim.resources import ROOT
from api.scope import Scope
from api.services import services_of


@dataclass(frozen=True)
class Desk:
    """One request of a directory."""

    database: Database
    context: Context
    principal: Principal
    base: str
    """The address of `/scim/v2`, as clients reach it."""

    @classmethod
    def of(cls, request: Request) -> "Desk":
        """The desk of a request that was admitted."""
        services = services_of(request)
        public = services.cluster.configuration.general_settings.public_url
        base = f"{public or str(request.base_url).rstrip('/')}{ROOT}"
        return cls(services.database, context_of(request.scope), caller(request), base)

    @property
    def organization_id(self) -> str:
        """Whose people and teams these are."""
        return self.principal.organization_id

    def scope(self, user_id: str = "") -> Scope:
        """The organization's, or on behalf of a person who is no member yet."""
        return Scope(self.organization_id, user_id or self.principal.user_id or "")

    async def record(self, unit: Unit, action: str, target: str, **details: Any) -> None:  # noqa: ANN401  any JSON
        """An entry of the audit log."""
        await self.record_each(unit, action, [target], **details)

    async def record_each(self, unit: Unit, action: str, targets: Sequence[str], **details: Any) -> None:  # noqa: ANN401
        """An entry for each target."""
        if targets:
            await record_each(unit, self.context, action, targets, by="scim", **details)
