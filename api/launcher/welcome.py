"""The first admin's link, for who starts the installation; `api.launcher.first_admin` makes it."""

from pathlib import Path

NAME = "first_admin"


def first_admin_link(folder: Path) -> str | None:
    """The link's path from the folder of secrets; None when there is an owner already."""
    try:
        return f"/welcome#{NAME}={(folder / NAME).read_text('utf-8').strip()}"
    except FileNotFoundError:
        return None
