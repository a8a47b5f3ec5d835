"""Privacy policy, terms and cookie notice, made of the operator's own fields. Nothing in them is invented."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from configs.errors import BadRequest, NotFound
from configs.privacy_specs import PrivacySpec

FOLDER = Path(__file__).parent / "documents"
TO_ACCEPT = ("privacy", "terms")
"""What somebody accepts when they register where everybody can."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it is shown; `version` changes with its text."""

    name: str
    version: str
    text: str


def names() -> list[str]:
    """The documents there are."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def document(name: str, privacy: PrivacySpec) -> Document:
    """A document.

    Raises:
        NotFound: there is none of that name, or the operator has not filled in who answers for it.
    """
    if name not in names():
        raise NotFound(f"There is no such document; there are {', '.join(names())}.", param="document")
    if not privacy.controller.complete:
        text = (
            "The operator has not filled in privacy.controller (name, address, email, law): there is no document yet."
        )
        raise NotFound(text)
    keep = privacy.retention
    text = Template((FOLDER / f"{name}.md").read_text("utf-8")).substitute(
        name=privacy.controller.name,
        address=privacy.controller.address,
        email=privacy.controller.email,
        law=privacy.controller.law,
        conversations=_days(keep.conversations),
        usage=_days(keep.usage),
        sessions=_days(keep.sessions),
    )
    return Document(name, hashlib.sha256(text.encode()).hexdigest()[:12], text)


def accepted_documents(accepts: Mapping[str, str], privacy: PrivacySpec, needed: Sequence[str]) -> tuple[Document, ...]:
    """The documents that somebody agreed to.

    Raises:
        BadRequest: a needed one is missing, or its version is not the one that is shown now.
    """
    missing = sorted(set(needed) - accepts.keys())
    if missing:
        raise BadRequest(f"Agree to {', '.join(missing)} first: GET /api/legal/{missing[0]}.", param="accepts")
    shown = tuple(document(name, privacy) for name in accepts)
    for each in shown:
        if accepts[each.name] != each.version:
            raise BadRequest(f"{each.name} is at version {each.version} now.", param="accepts")
    return shown


def _days(days: int | None) -> str:
    return f"{days} days" if days is not None else "until you or an administrator removes them"
