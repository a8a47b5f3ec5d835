"""What routes use, made once per ingress by `api.ingress` and found at `app.state.services`."""

from dataclasses import dataclass
from typing import TypedDict, cast

from fastapi import Request

from api.conversations import Conversations
from api.db.session import Database
from api.directory import Directory
from api.doorkeeper import Doorkeeper
from api.fetch import Fetcher
from api.files.library import Library
from api.identity.accounts import Accounts
from api.identity.hasher import Hasher
from api.identity.linked import LinkedIdentities
from api.identity.mailer import Mailer
from api.identity.provider_sign_in import ProviderSignIn
from api.identity.providers import load_all
from api.identity.sessions import Sessions
from api.identity.throttle import Throttle
from api.identity.tokens import AccessTokens
from api.identity.two_factor.ceremonies import Passkeys
from api.identity.two_factor.codes import Codes
from api.identity.two_factor.enrolment import Enrolment
from api.knowledge.store_files import StoreFiles
from api.knowledge.stores import Stores
from api.origins import Origins
from api.outbox import Outbox
from api.readiness import Readiness
from api.vault.vault import Vault
from configs.cluster import Cluster
from retrieval.finding import Finder
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
    origins: Origins
    hasher: Hasher
    throttle: Throttle
    sessions: Sessions
    accounts: Accounts
    codes: Codes
    enrolment: Enrolment
    passkeys: Passkeys
    sign_in: ProviderSignIn
    linked: LinkedIdentities
    mailer: Mailer | None
    vault: Vault
    conversations: Conversations
    library: Library
    stores: Stores
    store_files: StoreFiles
    finder: Finder
    readiness: Readiness


def services_of(request: Request) -> Services:
    """The services of the application that answers `request`."""
    return cast("Services", request.app.state.services)


class IdentityServices(TypedDict):
    """The parts that know people."""

    doorkeeper: Doorkeeper
    origins: Origins
    hasher: Hasher
    throttle: Throttle
    sessions: Sessions
    accounts: Accounts
    codes: Codes
    enrolment: Enrolment
    passkeys: Passkeys
    sign_in: ProviderSignIn
    linked: LinkedIdentities
    mailer: Mailer | None


def identity_services(cluster: Cluster, database: Database, vault: Vault) -> IdentityServices:
    """Everything about people, on this loop."""
    configuration = cluster.configuration
    general, identity = configuration.general_settings, configuration.identity
    tokens = AccessTokens(cluster.tokens(), identity.access_token_s)
    hasher, throttle, sessions = Hasher(), Throttle(database), Sessions(database, tokens, identity)
    site = str(general.public_url or f"{general.scheme}://{general.host}:{general.port}")
    mailer = Mailer(identity.smtp, site) if identity.smtp is not None else None
    codes = Codes(database, vault, throttle)
    accounts = Accounts(database, hasher, sessions, throttle, codes, mailer)
    providers = load_all(identity.providers, Fetcher(proxy=identity.providers_proxy)) if identity.providers else {}
    return IdentityServices(
        doorkeeper=Doorkeeper(database, tokens),
        origins=Origins.of(general),
        hasher=hasher,
        throttle=throttle,
        sessions=sessions,
        accounts=accounts,
        codes=codes,
        enrolment=Enrolment(database, codes, accounts),
        passkeys=Passkeys(database, accounts, general),
        sign_in=ProviderSignIn(database, providers, sessions, configuration.privacy),
        linked=LinkedIdentities(database, accounts, {provider.issuer for provider in providers.values()}),
        mailer=mailer,
    )
