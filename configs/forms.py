"""Patterns that texts must have, with the words that tell an operator what they ask for."""

from collections.abc import Mapping

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$"
ORIGIN = r"^https?://[^/\s]+$"
PROVIDER_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
SCOPE = r"^[!#-\[\]-~]{1,128}$"
SECURE_URL = (
    r"^(https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])|http://(localhost|127\.0\.0\.1|\[::1\]))"
    r"(:[0-9]{1,5})?(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?$"
)
LANDING = (
    r"^(/([A-Za-z0-9._~-][A-Za-z0-9._~/-]*)?|https://[A-Za-z0-9._-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?"
    r"|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?)(#[A-Za-z0-9._~/-]*)?$"
)
VISIBLE = r"^[!-~]+$"

WORDS: Mapping[str, str] = {
    MODEL_NAME: "at most 128 letters, digits and any of . _ : / @ -, a letter or digit first",
    ORIGIN: "http:// or https:// with a host and perhaps a port, without a path",
    PROVIDER_NAME: "at most 32 small letters, digits and -, a letter or digit first",
    SCOPE: "a scope's name without spaces",
    SECURE_URL: "https:// with a host, without user, query and fragment (http:// for this machine only)",
    LANDING: "a path of this site such as /chat, or an https:// address, without a query",
    VISIBLE: "visible ASCII without spaces",
}
