"""What a provider, or somebody between it and us, can try: each is refused with a 4xx that says why."""

from collections.abc import AsyncIterator

import pytest

from api.errors import status_of
from api.fetch import Fetcher
from api.identity.providers.oidc import create
from api.identity.providers.protocol import Ceremony, Provider
from configs.errors import MantaError, SignInRefused, Unavailable
from configs.provider_specs import ProviderSpec
from tests.fixtures.oidc_lies import CLIENT_ID, Lie
from tests.fixtures.oidc_provider import SECRET, OidcProvider, oidc_provider
from tests.fixtures.sign_in import REDIRECT_URI, fetching, sign_in, visit

LIES = {
    Lie.OTHER_ISSUER: "another issuer",
    Lie.TOKEN_OF_OTHER_ISSUER: "claim iss",
    Lie.ANSWER_OF_OTHER_ISSUER: "another issuer",
    Lie.NO_ISSUER: "another issuer",
    Lie.OTHER_AUDIENCE: "claim aud",
    Lie.SHARED_AUDIENCE: "claim azp",
    Lie.FOREIGN_PARTY: "claim azp",
    Lie.OTHER_NONCE: "claim nonce",
    Lie.NO_NONCE: "claim nonce",
    Lie.ALG_NONE: "not signed with one of",
    Lie.ALG_HS256: "not signed with one of",
    Lie.FORGED: "not signed with a key of its own",
    Lie.UNKNOWN_KEY: "not signed with a key of its own",
    Lie.WEAK_KEY: "not signed with a key of its own",
    Lie.KEY_IN_HEADER: "not signed with a key of its own",
    Lie.CRITICAL_HEADER: "cannot be read",
    Lie.EXPIRED: "claim exp",
    Lie.NO_EXPIRY: "claim exp",
    Lie.FUTURE: "claim iat",
    Lie.AT_HASH: "claim at_hash",
    Lie.NO_SUBJECT: "claim sub",
    Lie.ODD_SUBJECT: "did not say who",
    Lie.SCRIPT: "authorization_endpoint cannot be used",
    Lie.PLAIN_TOKEN_ENDPOINT: "token_endpoint cannot be used",
    Lie.METADATA_SERVICE: "not to be asked",
    Lie.HUGE_DISCOVERY: "larger",
    Lie.HUGE_TOKEN: "larger",
    Lie.HUGE_KEYS: "larger",
    Lie.REDIRECT: "redirect",
    Lie.REDIRECT_KEYS: "redirect",
    Lie.COMPRESSED: "compressed",
    Lie.NO_DISCOVERY: "404",
    Lie.GARBAGE: "not JSON",
    Lie.LIST: "no JSON object",
    Lie.DEEP: "not JSON",
    Lie.NO_ID_TOKEN: "no id_token",
    Lie.NOT_A_TOKEN: "cannot be read",
    Lie.USERINFO_OF_ANOTHER: "somebody else",
}
OUTAGES = {Lie.SLOW, Lie.SLOW_DISCOVERY, Lie.DOWN, Lie.DOWN_DISCOVERY}
HARMLESS = {Lie.UNVERIFIED, Lie.VERIFIED_TEXT, Lie.USERINFO_ONLY, Lie.CODES_LIVE_ON, Lie.NO_PKCE}
"""What a sign-in does not fail by; the tests below and `test_oidc.py` say what becomes of them."""


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with fetching() as made:
        yield made


def provider_at(idp: OidcProvider, fetcher: Fetcher) -> Provider:
    return create(ProviderSpec(name="test", issuer=idp.issuer, client_id=CLIENT_ID), SECRET, fetcher)


def test_every_lie_has_its_test() -> None:
    assert LIES.keys() | OUTAGES | HARMLESS == set(Lie)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
async def test_a_lie_is_refused(fetcher: Fetcher, lie: Lie, caplog: pytest.LogCaptureFixture) -> None:
    async with oidc_provider(lies={lie}) as idp:
        with pytest.raises(SignInRefused, match=LIES[lie]) as raised:
            await sign_in(provider_at(idp, fetcher))
    assert status_of(raised.value) == 401
    assert "<script>" not in raised.value.message
    assert "sign-in with provider test refused" in caplog.text, "the operator sees it"
    assert SECRET not in caplog.text


@pytest.mark.parametrize("lie", sorted(OUTAGES), ids=lambda lie: lie.name)
async def test_a_provider_that_is_down_is_503(lie: Lie) -> None:
    async with oidc_provider(lies={lie}) as idp, fetching(timeout_s=0.5) as fetcher:
        with pytest.raises(Unavailable) as raised:
            await sign_in(provider_at(idp, fetcher))
    assert raised.value.retry_after_s


async def test_a_provider_that_is_gone_is_503_and_well_again_later(fetcher: Fetcher) -> None:
    async with oidc_provider(lies={Lie.DOWN_DISCOVERY}) as idp:
        provider = provider_at(idp, fetcher)
        with pytest.raises(Unavailable):
            await sign_in(provider)
        idp.lies.clear()
        assert (await sign_in(provider)).subject == idp.person.subject


async def test_another_persons_code_is_refused_by_its_verifier(fetcher: Fetcher) -> None:
    """A code that was caught elsewhere is put into our browser's answer; the provider checks PKCE."""
    async with oidc_provider() as idp:
        provider = provider_at(idp, fetcher)
        with pytest.raises(SignInRefused, match="did not accept the code"):
            await swap_codes(provider)


async def test_another_persons_code_is_refused_by_its_nonce_where_nobody_checks_the_verifier(fetcher: Fetcher) -> None:
    async with oidc_provider(lies={Lie.NO_PKCE}) as idp:
        with pytest.raises(SignInRefused, match="claim nonce"):
            await swap_codes(provider_at(idp, fetcher))


async def test_a_replayed_code_is_refused_by_its_nonce_where_codes_live_on(fetcher: Fetcher) -> None:
    async with oidc_provider(lies={Lie.CODES_LIVE_ON, Lie.NO_PKCE}) as idp:
        provider, first = provider_at(idp, fetcher), Ceremony.begin()
        back = await visit(await provider.authorization_url(REDIRECT_URI, first))
        assert (await provider.identity(back["code"], REDIRECT_URI, first, back["iss"])).subject
        with pytest.raises(SignInRefused, match="claim nonce"):
            await provider.identity(back["code"], REDIRECT_URI, Ceremony.begin(), back["iss"])


async def test_a_code_is_good_for_its_own_address_only(fetcher: Fetcher) -> None:
    async with oidc_provider() as idp:
        provider, ceremony = provider_at(idp, fetcher), Ceremony.begin()
        back = await visit(await provider.authorization_url(REDIRECT_URI, ceremony))
        with pytest.raises(SignInRefused):
            await provider.identity(back["code"], REDIRECT_URI + "2", ceremony, back["iss"])


async def test_a_wrong_client_secret_is_refused(fetcher: Fetcher) -> None:
    async with oidc_provider() as idp:
        spec = ProviderSpec(name="test", issuer=idp.issuer, client_id=CLIENT_ID)
        with pytest.raises(SignInRefused):
            await sign_in(create(spec, "another", fetcher))


@pytest.mark.parametrize("code", ["", "x" * 4000, "a&grant_type=password", "\u2028", "%00"])
async def test_odd_codes_are_refused(fetcher: Fetcher, code: str) -> None:
    async with oidc_provider() as idp:
        provider = provider_at(idp, fetcher)
        with pytest.raises(MantaError) as raised:
            await provider.identity(code, REDIRECT_URI, Ceremony.begin(), idp.issuer)
    assert status_of(raised.value) == 401


async def swap_codes(provider: Provider) -> None:
    mine, theirs = Ceremony.begin(), Ceremony.begin()
    back = await visit(await provider.authorization_url(REDIRECT_URI, theirs))
    await provider.identity(back["code"], REDIRECT_URI, mine, back["iss"])
