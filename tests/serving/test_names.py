import re

from hypothesis import given
from hypothesis import strategies as st

from configs import forms
from serving.names import APP_PREFIX, app_name, search_apps

MODEL = st.from_regex(re.compile(forms.MODEL_NAME), fullmatch=True)


def test_a_plain_name_is_kept() -> None:
    assert app_name("all-MiniLM-L6-v2.1") == "model-all-MiniLM-L6-v2.1"


def test_names_that_read_alike_stay_apart() -> None:
    names = ["org/model", "org-model", "org_model", "org:model", "org//model"]
    assert len({app_name(name) for name in names if re.search(forms.MODEL_NAME, name)}) > 2
    assert len({app_name(name) for name in names}) == len(names)
    assert all(app_name(name).startswith("model-org-model") for name in names)


def test_a_shard_has_an_application_of_its_own() -> None:
    assert search_apps(1) == ["search"]
    assert search_apps(3) == ["search-0", "search-1", "search-2"]


@given(MODEL)
def test_any_model_gives_a_name_for_serve_and_for_files(name: str) -> None:
    made = app_name(name)
    assert re.fullmatch(r"[A-Za-z0-9.-]+", made)
    assert made.startswith(APP_PREFIX)
    assert made == app_name(name)


@given(MODEL, MODEL)
def test_two_models_have_two_names(one: str, other: str) -> None:
    assert (one == other) == (app_name(one) == app_name(other))
