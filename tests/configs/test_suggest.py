import pytest

from configs.suggest import any_of, closest, shorten

NAMES = ("port", "host", "data_dir", "max_model_len", "public_url")


@pytest.mark.parametrize(
    ("word", "name"),
    [("prot", "port"), ("data-dir", "data_dir"), ("MAX_MODEL_LENGTH", "max_model_len"), ("publicurl", "public_url")],
)
def test_the_nearest_name(word: str, name: str) -> None:
    assert closest(word, NAMES) == name


@pytest.mark.parametrize("word", ["", "zzz", "hat", "port" * 100])
def test_no_name_is_near(word: str) -> None:
    assert closest(word, NAMES) is None


def test_long_values_are_cut() -> None:
    assert len(shorten("x" * 100_000)) == 80
    assert shorten(None) == "null"


def test_any_of() -> None:
    assert any_of(["a", "b", "c"]) == "a, b or c"
    assert any_of(["a"]) == "a"
