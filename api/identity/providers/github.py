"""GitHub, and GitHub Enterprise: OAuth 2 without an ID token, so its API tells who signed in.

The issuer is the host, the subject the numeric id (a login can be renamed and taken by somebody else). An e-mail
address counts only if it is the primary one and GitHub verified it.
"""

from typing import Any
from urllib.parse import urlsplit

from api.fetch import Fetcher, NotFetched
from api.identity.providers import code as codes
from api.identity.providers.oidc import with_query
from api.identity.providers.protocol import MAX_NAME, Ceremony, Identity, email_or_none, refusal, text_or_none
from configs.provider_specs import GITHUB_API_URL, GITHUB_URL, ProviderSpec

OK = 200
API_VERSION = "2022-11-28"


def create(spec: ProviderSpec, secret: str | None, fetcher: Fetcher) -> "GithubProvider":
    """The provider of `spec`."""
    return GithubProvider(spec, secret, fetcher)


class GithubProvider:
    """github.com, or one Enterprise server."""

    def __init__(self, spec: ProviderSpec, secret: str | None, fetcher: Fetcher) -> None:
        self.spec = spec
        self._client = codes.Client(spec, secret, posts_secret=True)
        self._fetcher = fetcher
        self._site = (spec.issuer or GITHUB_URL).rstrip("/")
        self.issuer = urlsplit(self._site).netloc.lower()
        self._api = (spec.api_url or (GITHUB_API_URL if spec.issuer is None else f"{self._site}/api/v3")).rstrip("/")

    async def authorization_url(self, redirect_uri: str, ceremony: Ceremony) -> str:
        """See `Provider`."""
        return with_query(
            f"{self._site}/login/oauth/authorize",
            client_id=self.spec.client_id,
            redirect_uri=redirect_uri,
            scope=" ".join(self.spec.wanted_scopes),
            state=ceremony.state,
            code_challenge=ceremony.challenge,
            code_challenge_method="S256",
        )

    async def identity(self, code: str, redirect_uri: str, ceremony: Ceremony, issuer: str | None = None) -> Identity:
        """See `Provider`; GitHub names no issuer of its own, so one that came along is not looked at."""
        endpoint = f"{self._site}/login/oauth/access_token"
        body = await codes.exchange(self._fetcher, self._client, endpoint, code, redirect_uri, ceremony)
        token = codes.token_in(self.spec, body, "access_token")
        person = await self._ask("/user", token)
        number = person.get("id") if isinstance(person, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
            raise refusal(self.spec, "it did not say who signed in")
        email = primary(await self._ask("/user/emails?per_page=100", token))
        name = text_or_none(person.get("name"), MAX_NAME) or text_or_none(person.get("login"), MAX_NAME)
        return Identity(self.issuer, str(number), email, email is not None, name)

    async def _ask(self, path: str, token: str) -> Any:  # noqa: ANN401  JSON is anything
        """The API's answer; None where it gives none, as when the person did not grant the scope."""
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {token}",
            "x-github-api-version": API_VERSION,
        }
        try:
            answer = await self._fetcher.get(f"{self._api}{path}", headers)
            return answer.json() if answer.status == OK else None
        except NotFetched as error:
            raise refusal(self.spec, str(error)) from error


def primary(emails: object) -> str | None:
    """The primary address, if it is verified."""
    for entry in emails if isinstance(emails, list) else []:
        if isinstance(entry, dict) and entry.get("primary") is True and entry.get("verified") is True:
            return email_or_none(entry.get("email"))
    return None
