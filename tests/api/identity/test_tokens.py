"""Access tokens, and what people make up."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from api.identity.tokens import LONGEST_S, MAX_BYTES, REFUSED, AccessTokens
from configs.errors import Unauthorized
from configs.keyring import Keyring


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    tmp_path.chmod(0o700)
    return Keyring.make(tmp_path / "token_keys")


def packed(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": "manta",
        "aud": "manta",
        "sub": "user_1",
        "sid": "sess_1",
        "org": "org_1",
        "iat": now,
        "exp": now + 60,
    }
    return {name: value for name, value in (good | other).items() if value is not None}


def signed(keys: Keyring, body: dict[str, Any], **header: Any) -> bytes:
    head = {"alg": "HS256", "kid": keys.active.id, "typ": "JWT"} | header
    return jwt.encode(head, body, OctKey.import_key(keys.active.key), algorithms=["HS256", "HS384", "HS512"]).encode()


def test_a_token_tells_what_it_was_made_of(keys: Keyring) -> None:
    tokens = AccessTokens(keys, 30)
    token, seconds = tokens.issue("user_1", "sess_1", "org_1")
    found = tokens.read(token.encode())
    assert (found.user_id, found.session_id, found.organization_id, seconds) == ("user_1", "sess_1", "org_1", 30)
    assert 25 < found.expires_at - time.time() <= 30
    assert AccessTokens(keys, 86400).issue("u", "s", "o")[1] == LONGEST_S


def test_an_older_key_still_opens_and_a_removed_one_does_not(keys: Keyring) -> None:
    tokens = AccessTokens(keys)
    old = keys.active.id
    before = tokens.issue("u", "s", "o")[0].encode()
    keys.rotated()
    after = tokens.issue("u", "s", "o")[0].encode()
    assert json.loads(base64.urlsafe_b64decode(after.partition(b".")[0] + b"=="))["kid"] != old
    for token in (before, after):
        assert tokens.read(token).user_id == "u"
    keys.without(old)
    with pytest.raises(Unauthorized):
        tokens.read(before)
    assert tokens.read(after).user_id == "u"


def hostile(keys: Keyring) -> dict[str, bytes]:
    now, good = int(time.time()), signed(keys, claims())
    head, body, tag = good.split(b".")
    return {
        "nothing": b"",
        "two dots": b"..",
        "not base64": b"\xff\xfe.\x00.!",
        "none": packed({"alg": "none", "typ": "JWT", "kid": keys.active.id}) + b"." + body + b".",
        "None": packed({"alg": "None", "typ": "JWT", "kid": keys.active.id}) + b"." + body + b"." + tag,
        "another algorithm": signed(keys, claims(), alg="HS512"),
        "an asymmetric one": packed({"alg": "RS256", "typ": "JWT", "kid": keys.active.id}) + b"." + body + b"." + tag,
        "without its signature": head + b"." + body + b".",
        "with another body": head + b"." + packed(claims(sub="user_2")) + b"." + tag,
        "without a kid": packed({"alg": "HS256", "typ": "JWT"}) + b"." + body + b"." + tag,
        "an unknown kid": signed(keys, claims(), kid="other"),
        "a path as kid": signed(keys, claims(), kid="../../../../dev/null"),
        "a list as kid": packed({"alg": "HS256", "typ": "JWT", "kid": ["a"]}) + b"." + body + b"." + tag,
        "a huge kid": signed(keys, claims(), kid="k" * 4000),
        "a key in its head": signed(keys, claims(), jwk={"kty": "oct", "k": "AAAA"}),
        "a critical head": packed({"alg": "HS256", "typ": "JWT", "kid": keys.active.id, "crit": ["x"], "x": 1})
        + b"."
        + body
        + b"."
        + tag,
        "of another issuer": signed(keys, claims(iss="other")),
        "for another audience": signed(keys, claims(aud="other")),
        "for several": signed(keys, claims(aud=["manta", "other"])),
        "without a session": signed(keys, claims(sid=None)),
        "with a session that is no text": signed(keys, claims(sid={"a": 1})),
        "without an end": signed(keys, claims(exp=None)),
        "with an end that is text": signed(keys, claims(exp=str(now + 60))),
        "with a huge end": signed(keys, claims(exp=10**30)),
        "living too long": signed(keys, claims(exp=now + LONGEST_S + 5)),
        "over": signed(keys, claims(iat=now - 100, exp=now - 1)),
        "of the future": signed(keys, claims(iat=now + 300, exp=now + 400)),
        "too long": signed(keys, claims(more="x" * MAX_BYTES)),
        "encrypted": b".".join([packed({"alg": "dir", "enc": "A256GCM"}), b"", b"a", b"b", b"c"]),
        "a list as head": packed(["alg"]) + b"." + body + b"." + tag,
        "a number as head": packed(1) + b"." + body + b"." + tag,
        "an algorithm that is a list": packed({"alg": ["HS256"]}) + b"." + body + b"." + tag,
        "an open payload": packed({"alg": "HS256", "kid": keys.active.id, "typ": "JWT", "b64": False}) + b"..",
        "a list as body": head + b"." + packed([]) + b"." + tag,
        "with true as its end": signed(keys, claims(exp=True)),
        "with a fraction as its start": signed(keys, claims(iat=now - 0.5)),
        "deep": packed({"alg": "HS256"}) + b"." + base64.urlsafe_b64encode(b"[" * 1000).rstrip(b"=") + b"." + tag,
    }


def test_what_people_make_up_is_refused_with_one_text(keys: Keyring) -> None:
    tokens = AccessTokens(keys)
    assert tokens.read(signed(keys, claims())).user_id == "user_1"
    for name, token in hostile(keys).items():
        with pytest.raises(Unauthorized) as raised:
            tokens.read(token)
        assert raised.value.message == REFUSED, name
