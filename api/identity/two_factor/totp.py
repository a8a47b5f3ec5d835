"""Time-based codes of an authenticator app (RFC 6238), as every such app computes them: SHA-1, 6 digits, 30 seconds.

A code is good for its own step and one step either side, and each step once: who stores the step that `verify` gives
back and hands it in again refuses a code that was seen over a shoulder. It does not know who asks, and stores nothing.
"""

import io
import re
from hmac import compare_digest

import pyotp
import segno

STEP_S = 30
DIGITS = 6
WINDOW = 1
"""Steps before and after the present one: a phone's clock may be half a minute off."""
SECRET_CHARACTERS = 32
"""Of base 32: 160 bits, the length of SHA-1 (RFC 4226, requirement 6)."""
MODULE_PIXELS = 4

_CODE = re.compile(rf"[0-9]{{{DIGITS}}}\Z")
_SPACES = re.compile(r"[\s-]")


def new_secret() -> str:
    """160 bits from the system, in base 32, as apps take them by hand."""
    return pyotp.random_base32(SECRET_CHARACTERS)


def is_code(text: str) -> bool:
    """Whether it has the form of an app's code; people also write `123 456`."""
    return _CODE.match(_plain(text)) is not None


def verify(secret: str, code: str, last_step: int, now: float) -> int | None:
    """The time step that `code` belongs to, or None when it is wrong, too old or used.

    `last_step` is the step of the last code that was accepted (0: none yet), `now` seconds since 1970. Every step of
    the window is compared, whichever fits, so that the time taken tells nothing.
    """
    if not is_code(code):
        return None
    given = _plain(code).encode()
    generator = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S)
    present = int(now) // STEP_S
    found: int | None = None
    for step in range(max(present - WINDOW, 0), present + WINDOW + 1):
        if compare_digest(generator.generate_otp(step).encode(), given) and step > last_step:
            found = step
    return found


def provisioning_uri(secret: str, account: str, issuer: str) -> str:
    """`otpauth://totp/<issuer>:<account>?secret=...`, which apps read from a picture.

    A colon separates the two names, so it may stand in neither.
    """
    names = {"name": account.replace(":", " "), "issuer_name": issuer.replace(":", " ")}
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S).provisioning_uri(**names)


def picture(uri: str) -> str:
    """The address as a QR code: an `<svg>` element without scripts, styles or references, dark on white."""
    out = io.BytesIO()
    code = segno.make_qr(uri, error="m")
    code.save(
        out, kind="svg", xmldecl=False, nl=False, scale=MODULE_PIXELS, light="#fff", svgclass=None, lineclass=None
    )
    return out.getvalue().decode()


def _plain(text: str) -> str:
    return _SPACES.sub("", text)
