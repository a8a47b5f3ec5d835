"""Bytes to text in whatever encoding they are, without a lost or guessed-away character.

A byte order mark decides, then UTF-8, then the pattern of NULs (UTF-16 and UTF-32 without a mark), then what the format
declares, then the likeliest encoding by the letters. What is no text at all is refused. Formats are not known here.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator

from charset_normalizer import from_bytes

from retrieval.documents import clean, unsupported
from retrieval.letters import likeliest

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
EASTERN = frozenset(("cp932", "euc_jp", "gb18030", "big5", "cp949", "utf_16_le", "utf_16_be"))
HALF_WIDTH, BEYOND_ASCII = re.compile("[\uff61-\uff9f]"), re.compile("[^\\0-\x7f]")
PAIR = re.compile(rb"[\x80-\xff]{2}")
SPACES = re.compile(rb"[ \r\n]")
WIDE_BYTES, SPACE_SHARE, LIKELY = 16, 0.03, 0.5
UNWRITTEN, UNWRITTEN_SHARE = frozenset(("Cc", "Cn", "Co", "Cs")), 0.01
XML = re.compile(rb"\A\s{0,16}<\?xml\b[^>]{0,200}?\bencoding\s{0,8}=\s{0,8}[\"']([\w.:-]{1,40})")
EDITOR = re.compile(rb"\A(?:[^\n]{0,400}\n)?[ \t]*(?:#|//|/\*|--|;|%|\")[^\n]{0,200}?coding[:=][ \t]*([\w.-]{1,40})")
SAMPLE_BYTES = 256 * 1024
HEAD_BYTES = 1024
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


def declared(data: bytes) -> str | None:
    """What an XML declaration, or the line that editors and Python know, says about a file's encoding."""
    said = XML.match(data[:HEAD_BYTES]) or EDITOR.match(data[:HEAD_BYTES])
    return said.group(1).decode("ascii") if said is not None else None


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
    if (wide := _wide(data)) is not None and _written(data[:SAMPLE_BYTES].decode(wide, "ignore")):
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
    best = from_bytes(sample, cp_isolation=COMMON).best()
    letters = likeliest(sample, best.encoding if best is not None else None)
    if (
        best is not None
        and best.encoding in EASTERN
        and _eastern(sample, best.encoding, letters[1] if letters else -1.0)
    ):
        return best.encoding
    return letters[0] if letters is not None and letters[1] > 0 else None


def _eastern(sample: bytes, encoding: str, other: float) -> bool:
    """Whether it is. `other` is how likely letters of one byte are.

    Of those, signs of the West look like kana of half a width, single ones like Chinese, short lines like UTF-16.
    """
    if encoding.startswith("utf_16"):
        return len(sample) >= WIDE_BYTES and len(SPACES.findall(sample)) <= SPACE_SHARE * len(sample)
    if other < LIKELY:
        return True
    text = sample.decode(encoding, "ignore")
    return PAIR.search(sample) is not None and len(HALF_WIDTH.findall(text)) * 2 <= len(BEYOND_ASCII.findall(text))


def _written(sample: str) -> bool:
    """Whether these are characters that people write: numbers of two bytes look like UTF-16 too."""
    unwritten = sum(each not in "\t\n\r\f\x1b" and unicodedata.category(each) in UNWRITTEN for each in sample)
    return unwritten <= UNWRITTEN_SHARE * len(sample)
