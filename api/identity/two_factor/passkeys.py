"""Passkeys (WebAuthn level 3): what a browser is asked, and whether its answer is good. The `webauthn` library checks.

    begun = registration(party, ...)            # options go to the browser, the challenge into a ceremony
    made = verify_registration(party, answer, challenge)

The authenticator must check its user (PIN, fingerprint, face) and keep the credential itself, so that one touch is both
factors and no name is typed. No attestation is asked for: what make of authenticator a person owns is theirs. A
challenge is good for `LIFETIME_S` and once; who keeps it sees to that (`challenge_of` finds it again by the answer).
This file knows neither users nor tables.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, TypeVar

import webauthn
from cryptography.exceptions import UnsupportedAlgorithm
from webauthn.helpers import (
    base64url_to_bytes,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
    parse_attestation_object,
    parse_client_data_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    CollectedClientData,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from api.identity.two_factor.relying_party import RelyingParty
from configs.errors import MantaError, PasskeyRefused, PasskeySignInRefused

log = logging.getLogger(__name__)

LIFETIME_S = 300
HANDLE_BYTES = 64
"""WebAuthn 14.6.1: random, so that a credential on a shared authenticator does not tell who its user is."""
LONGEST_ID_BYTES = 1023
"""WebAuthn 5.8.3."""
LOGGED_CHARACTERS = 200
ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
FORMATS = (AttestationFormat.NONE, AttestationFormat.PACKED)
"""A browser that is asked for no attestation sends none, or the authenticator's signature by its own key."""
MALFORMED = (
    WebAuthnException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    UnsupportedAlgorithm,
)
"""What the library raises for an answer that is not one; it checks little of an answer's shape."""

Answer = dict[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Begun:
    """A ceremony that begins: `options` are for `PublicKeyCredential.parse…OptionsFromJSON`."""

    challenge: bytes
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Credential:
    """What is kept of a passkey. `public_key` is a COSE key in CBOR; `sign_count` stays 0 where devices share it."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    user_handle: bytes


def new_handle() -> bytes:
    """What authenticators know a person by: the same for all passkeys of one person, and unrelated to the user id."""
    return secrets.token_bytes(HANDLE_BYTES)


def registration(party: RelyingParty, account: str, handle: bytes, existing: Sequence[bytes]) -> Begun:
    """Ask for a new passkey of `account` (the name that the browser shows) that is none of the `existing` ids."""
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_name=account,
        user_id=handle,
        timeout=LIFETIME_S * 1000,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in existing],
        supported_pub_key_algs=ALGORITHMS,
    )
    return Begun(options.challenge, options_to_json_dict(options))


def authentication(party: RelyingParty) -> Begun:
    """Ask for any passkey of this domain; the browser lets the person choose, so no name is asked or told."""
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        timeout=LIFETIME_S * 1000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Begun(options.challenge, options_to_json_dict(options))


def verify_registration(party: RelyingParty, answer: Answer, challenge: bytes, handle: bytes) -> Credential:
    """The credential that a browser made for `challenge`.

    Raises:
        PasskeyRefused: for another page, without the user's check, of an unknown kind, or no such answer at all.
    """
    return _checked(lambda: _verified_registration(party, answer, challenge, handle), PasskeyRefused)


def verify_authentication(party: RelyingParty, answer: Answer, challenge: bytes, known: Credential) -> int:
    """The authenticator's new count, which replaces `known.sign_count`.

    A count that does not grow is refused, for then two copies of the key are about; authenticators that do not count
    stay at 0.

    Raises:
        PasskeySignInRefused: for another page, another person or key, without the user's check, or no such answer.
    """
    return _checked(lambda: _verified_authentication(party, answer, challenge, known), PasskeySignInRefused)


def challenge_of(answer: Answer) -> bytes:
    """The challenge that an answer claims to be for: where its ceremony is found, proof of nothing.

    Raises:
        PasskeyRefused: it is no answer of a browser.
    """
    return _checked(lambda: _client_data(answer).challenge, PasskeyRefused)


def credential_id_of(answer: Answer) -> bytes:
    """The credential that an answer claims to be made with.

    Raises:
        PasskeySignInRefused: it names none.
    """
    return _checked(lambda: _bounded(base64url_to_bytes(answer["rawId"])), PasskeySignInRefused)


def _verified_registration(party: RelyingParty, answer: Answer, challenge: bytes, handle: bytes) -> Credential:
    _check_page(party, answer, PasskeyRefused)
    attested = parse_attestation_object(base64url_to_bytes(answer["response"]["attestationObject"]))
    if attested.fmt not in FORMATS:
        raise PasskeyRefused("This authenticator's attestation is of a kind that was not asked for.")
    verified = webauthn.verify_registration_response(
        credential=answer,
        expected_challenge=challenge,
        expected_rp_id=party.id,
        expected_origin=list(party.origins),
        require_user_verification=True,
        supported_pub_key_algs=ALGORITHMS,
    )
    if base64url_to_bytes(answer["rawId"]) != _bounded(verified.credential_id):
        raise PasskeyRefused("The answer names another credential than the authenticator made.")
    # A key that no signature can ever fit is found now, not at the first sign-in.
    decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
    return Credential(verified.credential_id, verified.credential_public_key, verified.sign_count, handle)


def _verified_authentication(party: RelyingParty, answer: Answer, challenge: bytes, known: Credential) -> int:
    _check_page(party, answer, PasskeySignInRefused)
    handle = base64url_to_bytes(answer["response"]["userHandle"])
    named = base64url_to_bytes(answer["rawId"])
    if not compare_digest(handle, known.user_handle) or not compare_digest(named, known.credential_id):
        raise PasskeySignInRefused("This passkey belongs to somebody else.")
    verified = webauthn.verify_authentication_response(
        credential=answer,
        expected_challenge=challenge,
        expected_rp_id=party.id,
        expected_origin=list(party.origins),
        credential_public_key=known.public_key,
        credential_current_sign_count=known.sign_count,
        require_user_verification=True,
    )
    return verified.new_sign_count


def _check_page(party: RelyingParty, answer: Answer, refusal: type[MantaError]) -> None:
    """The most common mistake is an installation's, and deserves words of its own; the library checks again."""
    data = _client_data(answer)
    if data.origin not in party.origins:
        raise refusal(
            f"This page may not use passkeys of {party.id!r}: allowed is {', '.join(party.origins)}. "
            "The operator sets general_settings.public_url."
        )
    if data.cross_origin:
        raise refusal("Passkeys do not work in a page that is embedded in another site's.")


def _client_data(answer: Answer) -> CollectedClientData:
    return parse_client_data_json(base64url_to_bytes(answer["response"]["clientDataJSON"]))


def _bounded(credential_id: bytes) -> bytes:
    if not 0 < len(credential_id) <= LONGEST_ID_BYTES:
        message = "a credential id has 1 to 1023 bytes"
        raise ValueError(message)
    return credential_id


def _checked(verify: Callable[[], Found], refusal: type[MantaError]) -> Found:
    try:
        return verify()
    except MALFORMED as error:
        log.info("a passkey was refused: %s: %s", type(error).__name__, str(error)[:LOGGED_CHARACTERS])
        raise refusal(
            "This passkey could not be verified. Start again, and let the authenticator check that it is you "
            "(PIN, fingerprint or face)."
        ) from None
