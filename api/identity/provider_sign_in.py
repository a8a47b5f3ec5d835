"""Signing in with a provider: the browser is sent there, comes back with a code, and is somebody we know or not.

An identity is (issuer, subject). One that is not known makes a new account where registering is allowed; it is never
linked to an account because both have the same e-mail address, for then whoever gets an address at any provider would
get the account. No unit of work is open while a provider is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from api.audit.record import record
from api.context import Context
from api.db import identities, logins
from api.db.session import Database, Unit
from api.db.tables import Identity as IdentityRow
from api.identity.ceremony_book import Begun, CeremonyBook, Wish
from api.identity.newcomers import Newcomer, place_of, settle
from api.identity.people import scope_of
from api.identity.providers.protocol import Ceremony, Identity, Provider, refusal
from api.identity.registration import Rule
from api.identity.sessions import Sessions, SignedIn
from api.ids import new_id
from api.privacy.documents import TO_ACCEPT, accepted_documents
from api.scope import Scope
from configs.errors import Conflict, Forbidden, NotFound, SignInRefused
from configs.privacy_specs import PrivacySpec

MAX_CODE = 4096
SAID = {"access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required"}
"""Errors that mean that the person, or the provider, said no; others are somebody's mistake."""
DISABLED = "This account is disabled. An admin of this installation can enable it."

Person = dict[str, object]


@dataclass(frozen=True, slots=True)
class CameBack:
    """What the browser brought: a code or an error, the state, and the issuer that came with it (RFC 9207)."""

    state: str
    code: str | None
    error: str | None
    issuer: str | None


@dataclass(frozen=True, slots=True)
class Visitor:
    """The browser that came back: its binding, what it calls itself, and whether it may register."""

    binding: str | None
    user_agent: str
    rule: Rule


class ProviderSignIn:
    """Sends people to providers and lets them in when they come back."""

    def __init__(
        self, database: Database, providers: Mapping[str, Provider], sessions: Sessions, privacy: PrivacySpec
    ) -> None:
        self.providers = providers
        self._database = database
        self._sessions = sessions
        self._privacy = privacy
        self._book = CeremonyBook(database)

    async def begin(self, name: str, redirect_uri: str, binding: str, wish: Wish) -> str:
        """Where to send the browser that holds `binding`.

        Raises:
            NotFound: no provider of that name is configured.
            SignInRefused: what the provider says of itself does not hold.
            Unavailable: it does not answer.
        """
        ceremony = Ceremony.begin()
        url = await self._provider(name).authorization_url(redirect_uri, ceremony)
        await self._book.keep(name, Begun(ceremony, redirect_uri, wish), binding)
        return url

    async def finish(self, context: Context, name: str, back: CameBack, visitor: Visitor) -> SignedIn | IdentityRow:
        """A session for who came back, or the identity that was linked to the person who wished so.

        Raises:
            NotFound: no provider of that name is configured.
            SignInRefused: it was not begun in this browser, was used, or the provider is not believed.
            Conflict: the e-mail address, or the identity, belongs to an account already.
            Forbidden: the account is disabled, or nobody may register.
            BadRequest: a document was not agreed to, or the invitation is over.
            Unavailable: the provider does not answer.
        """
        provider = self._provider(name)
        begun = await self._book.take(name, back.state, visitor.binding)
        if back.code is None or not 0 < len(back.code) <= MAX_CODE:
            raise refusal(provider.spec, f"the answer was {back.error if back.error in SAID else 'an error'}")
        identity = await provider.identity(back.code, begun.redirect_uri, begun.ceremony, back.issuer)
        if begun.wish.link_to is not None:
            return await self._link(context, provider, identity, begun.wish)
        entered = await self._enter(context, provider, identity, visitor)
        if entered is not None:
            return entered
        try:
            return await self._register(context, provider, identity, begun.wish, visitor)
        except Conflict:
            entered = await self._enter(context, provider, identity, visitor)  # another tab was quicker
            if entered is None:
                raise
            return entered

    def _provider(self, name: str) -> Provider:
        if name not in self.providers:
            raise NotFound(
                "There is no sign-in provider of that name: GET /api/auth/oidc lists them.", param="provider"
            )
        return self.providers[name]

    async def _enter(
        self, context: Context, provider: Provider, identity: Identity, visitor: Visitor
    ) -> SignedIn | None:
        """A session for a known identity; None when nobody has it."""
        async with self._database.unit() as unit:
            person = await logins.find(unit, "identity", f"{identity.issuer}\n{identity.subject}")
        if person is None:
            return None
        scope = scope_of(person)
        async with self._database.unit(scope) as unit:
            if person["status"] == "active":
                await identities.used(unit, person["identity_id"], identity.email)
                return await self._begin_session(unit, context, provider, scope, visitor)
            await record(
                unit, context, "session.begin", organization_id=scope.organization_id, actor=scope.user_id,
                outcome="refused", provider=provider.spec.name,
            )  # fmt: skip
        raise Forbidden(DISABLED)

    async def _register(
        self, context: Context, provider: Provider, identity: Identity, wish: Wish, visitor: Visitor
    ) -> SignedIn:
        await self._insist_on_a_free_address(provider, identity)
        if not provider.spec.allow_registration:
            raise Forbidden(
                f"Nobody new can come in with {provider.spec.words}. Sign in another way and link it there."
            )
        newcomer = self._newcomer(identity, wish, visitor)
        place = await place_of(self._database, newcomer, visitor.rule)
        scope = Scope(place.organization_id, new_id("user"))
        async with self._database.unit(scope) as unit:
            await settle(
                unit,
                context,
                newcomer,
                place,
                scope.user_id,
                password_hash=None,
                email_verified=newcomer.email is not None,
            )
            await identities.add(unit, row_of(scope.user_id, provider, identity))
            return await self._begin_session(unit, context, provider, scope, visitor)

    def _newcomer(self, identity: Identity, wish: Wish, visitor: Visitor) -> Newcomer:
        """Only an address that the provider vouches for becomes the account's own."""
        proof = bytes.fromhex(wish.proof) if wish.proof is not None else None
        needed = TO_ACCEPT if visitor.rule == "open" and proof is None and self._privacy.controller.complete else ()
        accepted = accepted_documents(wish.accepts, self._privacy, needed)
        email = identity.email if identity.email_verified else None
        return Newcomer(email, identity.name or "", proof, visitor.user_agent, accepted)

    async def _insist_on_a_free_address(self, provider: Provider, identity: Identity) -> None:
        if identity.email is None:
            return
        async with self._database.unit() as unit:
            holder = await logins.find(unit, "email", identity.email)
        if holder is not None:
            spec = provider.spec
            raise Conflict(
                f"An account with this e-mail address exists already. Sign in to it, and link {spec.words} there: "
                f"POST /api/auth/identities/{spec.name}/link.",
                param="email",
            )

    async def _link(self, context: Context, provider: Provider, identity: Identity, wish: Wish) -> IdentityRow:
        """Link the identity to the person who wished so, while their session lives."""
        async with self._database.unit() as unit:
            session = await logins.find(unit, "session", wish.session_id or "")
            holder = await logins.find(unit, "identity", f"{identity.issuer}\n{identity.subject}")
        if session is None or session["ended"] or session["status"] != "active" or session["user_id"] != wish.link_to:
            raise SignInRefused("The session that wished to link this has ended. Sign in, and begin again.")
        user_id, scope = session["user_id"], Scope(session["organization_id"], session["user_id"])
        async with self._database.unit(scope) as unit:
            if holder is not None and holder["user_id"] == user_id:
                return next(row for row in await identities.of_user(unit, user_id) if row.id == holder["identity_id"])
            row = await identities.add(unit, row_of(user_id, provider, identity))
            await record(
                unit, context, "identity.link", organization_id=scope.organization_id, actor=user_id, target=row.id,
                provider=provider.spec.name,
            )  # fmt: skip
        return row

    async def _begin_session(
        self, unit: Unit, context: Context, provider: Provider, scope: Scope, visitor: Visitor
    ) -> SignedIn:
        methods = [f"oidc:{provider.spec.name}"]
        return await self._sessions.begin(
            unit, context, scope.user_id, scope.organization_id, methods, visitor.user_agent
        )


def row_of(user_id: str, provider: Provider, identity: Identity) -> IdentityRow:
    """An identity as it is kept."""
    return IdentityRow(
        id=new_id("idn"),
        user_id=user_id,
        provider=provider.spec.name,
        issuer=identity.issuer,
        subject=identity.subject,
        email=identity.email,
    )
