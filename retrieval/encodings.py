"""Bytes to text in whatever encoding they are, without a lost or guessed-away character.

A byte order mark decides, then UTF-8, then the pattern of NULs (UTF-16 and UTF-32 without a mark), then what the format
declares, then the likeliest encoding by the letters. What is no text at all is refused. Formats are not known here.
"""

import codecs
import re
from collections.abc import Iterator

from charset_normalizer import from_bytes

from retrieval.documents import clean, unsupported

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""UTF-32's before UTF-16's: the one begins with the other."""
BINARY = re.compile(
    rb"GIF8[79]a[^\0-\x08\x0e-\x1f]{0,6}[\0-\x08\x0e-\x1f]|ID3[\0-\x08]|OggS\0|II\*\0|MM\0\*|\0\0\x01\0[^\0]"
    rb"|\x89PNG\r?\n|\xff\xd8\xff|\x7fELF|\x1f\x8b\x08"
)
"""How files begin that are no text, and that may be too short to look like none: icons, pixels that count readers.

Letters alone are no sign ("ID3 tags are ..."): after them comes a byte that no text has there.
"""
COMMON = [
    "cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp932", "euc_jp",
    "gb18030", "big5", "cp949", "utf_16_le", "utf_16_be",
]  # fmt: skip
SAMPLE_BYTES = 256 * 1024
CONTROLS = re.compile("[\x01-\x08\x0e-\x1a\x1c-\x1f]")
BINARY_SHARE = 0.02
NO_TEXT = "The file is not text and has no known format. Convert it to PDF, DOCX, HTML or plain text."
ESCAPES = re.compile(rb"\x1b[$(]")


def decode(data: bytes, declared: str | None = None) -> str:
    """The text, with `\\n` at line ends.

    `declared` is what the file says about itself, and is believed where it can be true.

    Raises:
        Unreadable: it is no text.
    """
    if BINARY.match(data):
        raise unsupported(NO_TEXT)
    text = clean(_decoded(data, declared))
    sample = text[:SAMPLE_BYTES]
    if len(CONTROLS.findall(sample)) + sample.count("\ufffd") > max(8, BINARY_SHARE * len(sample)):
        raise unsupported(NO_TEXT)
    return text


def _decoded(data: bytes, declared: str | None) -> str:
    for mark, codec in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    for codec in _candidates(data, declared):
        try:
            return data.decode(codec)
        except (UnicodeError, LookupError):
            continue
    return data.decode("latin-1")


def _candidates(data: bytes, declared: str | None) -> Iterator[str]:
    if ESCAPES.search(data[:SAMPLE_BYTES]):
        yield "iso2022_jp_2"
    if (wide := _wide(data)) is not None:
        yield wide
    yield "utf-8"
    if declared is not None and _is_text_codec(declared):
        yield declared
    if b"\0" not in data[:SAMPLE_BYTES]:
        yield from (each for each in [_likeliest(data)] if each)
        yield "cp1252"


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: plain letters leave NULs.

    The high bytes of a script are fewer than the low ones, which tells the order.
    """
    sample = data[: SAMPLE_BYTES - SAMPLE_BYTES % 4]
    if not sample.count(0):
        return None
    zeros = [sample[place::4].count(0) / max(1, len(sample[place::4])) for place in range(4)]
    full = 0.9
    if len(data) % 4 == 0 and min(zeros[2], zeros[3]) > full > zeros[0]:
        return "utf-32-le"
    if len(data) % 4 == 0 and min(zeros[0], zeros[1]) > full > zeros[3]:
        return "utf-32-be"
    if len(data) % 2:
        return None
    return "utf-16-le" if len(set(sample[1::2])) < len(set(sample[::2])) else "utf-16-be"


def _is_text_codec(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding  # noqa: SLF001  nothing public tells zip and base64 apart from text
    except (LookupError, ValueError):
        return False


def _likeliest(data: bytes) -> str | None:
    """By the letters. Rare encodings are left out: they look like the common ones with other letters."""
    sample = data[:SAMPLE_BYTES]
    if len(data) > len(sample):
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    sample = b"\n".join(dict.fromkeys(sample.split(b"\n")))  # a line that comes again says nothing new
    found = from_bytes(sample, cp_isolation=COMMON)
    western = next((each for each in found if each.encoding == "cp1252"), None)
    best = found.best()
    if best is None or (
        best.encoding in ("cp1250", "cp1254", "iso8859_2") and western is not None and western.chaos <= best.chaos
    ):
        return "cp1252"
    return best.encoding
