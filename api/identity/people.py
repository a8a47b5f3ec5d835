"""People as `find_login` tells them, and their addresses, for whoever works with both."""

import re
from typing import Any

from api.scope import DEFAULT_ORGANIZATION, Scope
from configs.errors import BadRequest, Forbidden, NotFound

NO_USER = "There is no such user."
EMAIL = re.compile(r"[^@\s<>\"',;:\x00-\x1f\x7f]{1,64}@[^@\s<>\"',;:\x00-\x1f\x7f]{1,189}\Z")


def scope_of(person: dict[str, Any], organization_id: str | None = None) -> Scope:
    """A person in one of their organizations: the named one, else the first they joined.

    Whom none has is in the one that runs the installation, without a right but those on their own account.

    Raises:
        Forbidden: they are not in the named one.
    """
    ids = [each["organization_id"] for each in person["memberships"]] or [DEFAULT_ORGANIZATION]
    wanted = organization_id or ids[0]
    if wanted not in ids:
        raise Forbidden("You are no member of that organization.")
    return Scope(wanted, person["user_id"])


def checked_email(text: str) -> str:
    """An address in lower case.

    Raises:
        BadRequest: it is none.
    """
    email = text.strip().lower()
    if not EMAIL.match(email):
        raise BadRequest("This is no e-mail address.", param="email")
    return email


def require_user(person: dict[str, Any] | None) -> dict[str, Any]:
    """A person who was found.

    Raises:
        NotFound: nobody was.
    """
    if person is None:
        raise NotFound(NO_USER, param="user_id")
    return person
