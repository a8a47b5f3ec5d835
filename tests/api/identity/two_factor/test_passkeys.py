import json
import logging
from copy import deepcopy
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.identity.two_factor import passkeys
from api.identity.two_factor.passkeys import Credential
from api.identity.two_factor.relying_party import RelyingParty
from configs.errors import BadRequest, PasskeyRefused, PasskeySignInRefused, Unauthorized
from tests.fixtures.authenticator import (
    COSE,
    Algorithm,
    Authenticator,
    Lie,
    Resident,
    cose_key,
    decoded,
    encoded,
    new_key,
)

ORIGIN = "https://a.example.com"
PARTY = RelyingParty("example.com", (ORIGIN, "https://example.com"))
HANDLE = passkeys.new_handle()


def device(algorithm: Algorithm = "ES256", *, counts: bool = True) -> Authenticator:
    return Authenticator(ORIGIN, algorithm, counts)


def registered(authenticator: Authenticator, lie: Lie | None = None) -> Credential:
    begun = passkeys.registration(PARTY, "ada@example.com", HANDLE, [])
    answer = authenticator.create(begun.options, lie or Lie())
    return passkeys.verify_registration(PARTY, answer, begun.challenge, HANDLE)


def signed_in(authenticator: Authenticator, known: Credential, lie: Lie | None = None) -> int:
    begun = passkeys.authentication(PARTY)
    answer = authenticator.get(begun.options, lie or Lie())
    return passkeys.verify_authentication(PARTY, answer, begun.challenge, known)


@pytest.mark.parametrize("algorithm", COSE)
def test_a_passkey_is_made_and_signs_in(algorithm: Algorithm) -> None:
    authenticator = device(algorithm)
    known = registered(authenticator)
    assert known.credential_id == authenticator.residents[0].id
    assert (known.sign_count, known.user_handle) == (1, HANDLE)
    assert signed_in(authenticator, known) == 2


def test_an_authenticator_that_does_not_count_stays_at_nought() -> None:
    authenticator = device(counts=False)
    known = registered(authenticator)
    assert [signed_in(authenticator, known) for _ in range(2)] == [0, 0]


def test_what_a_browser_is_asked_to_make() -> None:
    begun = passkeys.registration(PARTY, "ada@example.com", HANDLE, [b"old one"])
    options: dict[str, Any] = json.loads(json.dumps(begun.options))
    assert options["rp"] == {"name": "Manta", "id": "example.com"}
    assert options["user"] == {"id": encoded(HANDLE), "name": "ada@example.com", "displayName": "ada@example.com"}
    assert options["excludeCredentials"] == [{"id": encoded(b"old one"), "type": "public-key"}]
    assert (options["attestation"], options["timeout"]) == ("none", 300_000)
    assert options["authenticatorSelection"] == {
        "residentKey": "required", "requireResidentKey": True, "userVerification": "required"
    }  # fmt: skip
    assert decoded(options["challenge"]) == begun.challenge
    assert len(begun.challenge) >= 32


def test_what_a_browser_is_asked_to_sign_names_nobody() -> None:
    options = passkeys.authentication(PARTY).options
    assert (options["rpId"], options["userVerification"], options["allowCredentials"]) == (
        "example.com",
        "required",
        [],
    )
    assert passkeys.authentication(PARTY).challenge != passkeys.authentication(PARTY).challenge


def test_a_handle_is_random_and_long_enough() -> None:
    assert len({passkeys.new_handle() for _ in range(10)}) == 10
    assert len(HANDLE) == 64


LIES = {
    "another origin": Lie(origin="https://host"),
    "the origin without https": Lie(origin="http://a.example.com"),
    "the origin with a port": Lie(origin="https://a.example.com:8443"),
    "another domain": Lie(rp_id="evil.example"),
    "another challenge": Lie(challenge=b"x" * 64),
    "the other ceremony": Lie(type="payment.get"),
    "nobody present": Lie(present=False),
    "nobody verified": Lie(verified=False),
    "in a frame of another site": Lie(cross_origin=True),
    "another credential's id": Lie(credential_id=b"somebody else's"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_registration_that_lies_is_refused(lie: Lie) -> None:
    with pytest.raises(PasskeyRefused):
        registered(device(), lie)


SIGN_IN_LIES = LIES | {
    "somebody else's handle": Lie(user_handle=passkeys.new_handle()),
    "another key": Lie(key=new_key("ES256")),
    "a key of another kind": Lie(key=new_key("EdDSA")),
    "the same count again": Lie(count=1),
    "a smaller count": Lie(count=0),
}


@pytest.mark.parametrize("lie", SIGN_IN_LIES.values(), ids=SIGN_IN_LIES.keys())
def test_a_sign_in_that_lies_is_refused(lie: Lie) -> None:
    authenticator = device()
    known = registered(authenticator)
    with pytest.raises(PasskeySignInRefused):
        signed_in(authenticator, known, lie)
    assert signed_in(authenticator, known) > 1


def test_an_answer_is_good_for_its_own_challenge_only() -> None:
    authenticator = device()
    known = registered(authenticator)
    begun, other = passkeys.authentication(PARTY), passkeys.authentication(PARTY)
    answer = authenticator.get(begun.options)
    assert passkeys.challenge_of(answer) == begun.challenge
    assert passkeys.credential_id_of(answer) == known.credential_id
    with pytest.raises(PasskeySignInRefused):
        passkeys.verify_authentication(PARTY, answer, other.challenge, known)


def test_a_registration_is_no_sign_in_and_the_other_way_round() -> None:
    authenticator = device()
    known = registered(authenticator)
    asked = passkeys.authentication(PARTY)
    with pytest.raises(PasskeyRefused):
        passkeys.verify_registration(PARTY, authenticator.get(asked.options), asked.challenge, HANDLE)
    begun = passkeys.registration(PARTY, "ada@example.com", HANDLE, [])
    with pytest.raises(PasskeySignInRefused):
        passkeys.verify_authentication(PARTY, authenticator.create(begun.options), begun.challenge, known)


def test_a_swapped_credential_is_refused_though_its_own_signature_is_good() -> None:
    mine, theirs = device(), device()
    known = registered(mine)
    registered(theirs)
    theirs.residents[0].user_handle = HANDLE
    with pytest.raises(PasskeySignInRefused, match="somebody else"):
        signed_in(theirs, known)
    theirs.residents[0].id = known.credential_id
    with pytest.raises(PasskeySignInRefused, match="could not be verified"):
        signed_in(theirs, known)


def test_a_wrong_page_is_told_what_to_set(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PasskeyRefused, match=r"public_url") as raised:
        registered(device(), Lie(origin="https://host"))
    assert "host" not in raised.value.message


@pytest.mark.parametrize("format_", ["fido-u2f", "tpm", "apple", "android-safetynet", "android-key", "new"])
def test_an_attestation_that_was_not_asked_for_is_refused(format_: str) -> None:
    with pytest.raises(PasskeyRefused, match="not asked for"):
        registered(device(), Lie(format=format_))


BROKEN_KEYS = {
    "off the curve": {1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\2" * 32},
    "no point": {1: 2, 3: -7, -1: 1, -2: b"", -3: b""},
    "an unknown curve": {1: 2, 3: -7, -1: 99, -2: b"\1" * 32, -3: b"\2" * 32},
    "an unknown algorithm": {1: 2, 3: -999, -1: 1, -2: b"\1" * 32, -3: b"\2" * 32},
    "a short key": {1: 1, 3: -8, -1: 6, -2: b"\1"},
    "no kind": {3: -7},
    "an even exponent": {1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\2"},
    "a number": 4,
    "a text": "key",
}


@pytest.mark.parametrize("key", BROKEN_KEYS.values(), ids=BROKEN_KEYS.keys())
def test_a_key_that_can_sign_nothing_is_refused_when_it_is_made(key: object) -> None:
    authenticator = device()
    begun = passkeys.registration(PARTY, "ada@example.com", HANDLE, [])
    answer = authenticator.create(begun.options)
    made = authenticator.residents[0]
    attestation = cbor2.loads(decoded(answer["response"]["attestationObject"]))
    attestation["authData"] = attestation["authData"].removesuffix(cose_key(made.key)) + cbor2.dumps(key)
    answer["response"]["attestationObject"] = encoded(cbor2.dumps(attestation))
    with pytest.raises(PasskeyRefused):
        passkeys.verify_registration(PARTY, answer, begun.challenge, HANDLE)


def test_an_id_longer_than_the_standard_allows_is_refused() -> None:
    with pytest.raises(PasskeySignInRefused):
        passkeys.credential_id_of({"rawId": encoded(b"x" * 1024)})
    assert passkeys.credential_id_of({"rawId": encoded(b"x" * 1023)}) == b"x" * 1023


def test_the_log_has_the_reason_and_the_client_has_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, passkeys.__name__), pytest.raises(PasskeyRefused) as raised:
        registered(device(), Lie(rp_id="evil.example"))
    assert "RP ID hash" in caplog.text
    assert "RP ID" not in raised.value.message


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PLACES: list[tuple[str, ...]] = [
    ("id",), ("rawId",), ("type",), ("response",), ("authenticatorAttachment",),
    ("response", "clientDataJSON"), ("response", "attestationObject"), ("response", "authenticatorData"),
    ("response", "signature"), ("response", "userHandle"), ("response", "transports"),
]  # fmt: skip
DEVICE = device()
BEGUN = passkeys.registration(PARTY, "ada@example.com", HANDLE, [])
CREATED = DEVICE.create(BEGUN.options)
KNOWN = passkeys.verify_registration(PARTY, CREATED, BEGUN.challenge, HANDLE)
ASKED = passkeys.authentication(PARTY)
GOT = DEVICE.get(ASKED.options)


def spoiled(answer: dict[str, Any], place: tuple[str, ...], value: object) -> dict[str, Any]:
    made = deepcopy(answer)
    inner = made["response"] if len(place) == 2 else made
    inner[place[-1]] = value
    return made


def tried(answer: dict[str, Any]) -> None:
    """Both ceremonies and both look-ups; only errors of ours come out."""
    for verify in (
        lambda: passkeys.verify_registration(PARTY, answer, BEGUN.challenge, HANDLE),
        lambda: passkeys.verify_authentication(PARTY, answer, ASKED.challenge, KNOWN),
        lambda: passkeys.challenge_of(answer),
        lambda: passkeys.credential_id_of(answer),
    ):
        try:
            verify()
        except (BadRequest, Unauthorized) as error:
            assert error.code == "passkey_refused"  # noqa: PT017


@given(place=st.sampled_from(PLACES), value=junk, created=st.booleans())
def test_any_field_may_be_anything(place: tuple[str, ...], value: object, created: bool) -> None:
    tried(spoiled(CREATED if created else GOT, place, value))


@given(value=junk)
def test_client_data_may_be_anything(value: object) -> None:
    for answer in (CREATED, GOT):
        tried(spoiled(answer, ("response", "clientDataJSON"), encoded(json.dumps(value).encode())))


@given(data=st.data(), created=st.booleans())
def test_any_byte_may_be_another(data: st.DataObject, created: bool) -> None:
    answer, name = (CREATED, "attestationObject") if created else (GOT, "authenticatorData")
    raw = bytearray(decoded(answer["response"][name]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    tried(spoiled(answer, ("response", name), encoded(bytes(raw))))
    tried(spoiled(answer, ("response", name), encoded(bytes(raw[:cut]))))


def test_a_resident_is_replaced_by_a_newer_one_of_the_same_person() -> None:
    authenticator = device()
    first, second = registered(authenticator), registered(authenticator)
    assert [each.id for each in authenticator.residents] == [second.credential_id] != [first.credential_id]
    assert isinstance(authenticator.residents[0], Resident)
