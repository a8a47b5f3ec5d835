"""Names of rows: what kind, and 96 random bits."""

import secrets


def new_id(kind: str) -> str:
    """For example `conv_0123456789abcdef01234567`."""
    return f"{kind}_{secrets.token_hex(12)}"
