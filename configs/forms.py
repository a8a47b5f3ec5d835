"""Patterns that texts must have, with the words that tell an operator what they ask for."""

from collections.abc import Mapping

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$"
ORIGIN = r"^https?://[^/\s]+$"

WORDS: Mapping[str, str] = {
    MODEL_NAME: "at most 128 letters, digits and any of . _ : / @ -, a letter or digit first",
    ORIGIN: "http:// or https:// with a host and perhaps a port, without a path",
}
