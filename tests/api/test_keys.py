import hashlib
import re

from api.keys import SHOWN, digest_of, key_of, make_key, new_key


def test_a_key_has_openais_form_and_256_bits() -> None:
    made = make_key()
    assert re.fullmatch(r"sk-[A-Za-z0-9_-]{43}", made.key)
    assert re.fullmatch(r"key_[0-9a-f]{24}", made.id)


def test_what_is_kept_does_not_tell_the_key() -> None:
    made = make_key()
    assert made.digest == hashlib.sha256(made.key.encode()).digest() == digest_of(made.key.encode())
    assert made.prefix == made.key[:SHOWN]
    assert len(made.key) - len(made.prefix) == 35


def test_no_two_keys_are_alike() -> None:
    made = [make_key() for _ in range(100)]
    assert len({each.key for each in made}) == len({each.id for each in made}) == 100


def test_the_operators_key_follows_from_its_secret() -> None:
    assert key_of("secret") == "sk-secret"
    one, other = new_key("sk-secret"), new_key("sk-secret")
    assert one.digest == other.digest
    assert one.id != other.id
