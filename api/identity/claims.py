"""What an access token says, and what reads it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Claims:
    """Whose session a token belongs to; `expires_at` in seconds since 1970."""

    user_id: str
    session_id: str
    organization_id: str
    expires_at: float


class TokenReader(Protocol):
    """Checks access tokens (`api.identity.tokens.AccessTokens`)."""

    def read(self, token: bytes) -> Claims:
        """What a good token says.

        Raises:
            Unauthorized: it is not good.
        """
        ...
