"""What the documents say is what the code does."""

import re
from pathlib import Path

import api
from api import cookies
from api.privacy.classes import CLASSES
from api.privacy.documents import document
from configs.privacy_specs import PrivacySpec
from tests.api.routes.test_privacy import CONTROLLER

PAGE = (Path(api.__file__).parent.parent / "docs" / "privacy.md").read_text("utf-8")
NAMED = PrivacySpec.model_validate({"controller": CONTROLLER})


def test_every_table_has_its_retention_on_the_page() -> None:
    rows = PAGE.split("| class | tables | kept | why |")[1].split("\n\n")[0].splitlines()[2:]
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[2])]
    assert sorted(told) == sorted(CLASSES)


def test_the_cookie_notice_names_every_cookie() -> None:
    text = document("cookies", NAMED).text
    source = Path(cookies.__file__).read_text("utf-8")
    names = {value for name, value in vars(cookies).items() if name.endswith("NAME") and "HOST" not in name}
    assert len(names) == source.count("response.set_cookie(")
    for name in names:
        assert f"`{name}`" in text


def test_the_policy_promises_no_more_than_an_erasure_does() -> None:
    text = document("privacy", NAMED).text
    assert "cannot be read either" not in text
    for said in ("Older backups", "master key", "name and address"):
        assert said in text
