"""ZIP files, which office formats and books are too, with budgets held before anything is unpacked."""

import io
import posixpath
import re
from typing import Self
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError
from zipfile import BadZipFile, ZipFile, ZipInfo

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from retrieval.documents import Unreadable, invalid
from retrieval.encodings import decode
from retrieval.format import Source

MAGIC = b"PK\x03\x04"
LOCKED, UTF8 = 0x1, 0x800
UNSAID = "cp437"
"""As which `zipfile` reads a name whose encoding is not said; every byte is a letter in it."""
NAME_CHARACTERS = 80
RATIO_FROM_BYTES = 16 * 2**20
"""XML shrinks a lot; below this much unpacked a high ratio is no attack."""
STRICT = re.compile(rb"http://purl.oclc.org/ooxml/(\w+)/(main|relationships|math|diagram)\b")
TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/\2"
"""Office files of the strict kind have other names for the same elements."""
RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


class Container:
    """An open ZIP file whose directory keeps within the limits; made by `open`."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        _name(archive.infolist())
        self.members = [each for each in archive.infolist() if not each.is_dir()]
        """Its files, in its order; a name may come twice."""
        self._members = {each.filename: each for each in self.members}

    @classmethod
    def open(cls, source: Source) -> Self:
        """Check the directory. `zipfile` never unpacks more of a member than stands there, so this is the budget.

        Raises:
            Unreadable: too many members, too much in them, a bomb's ratio, or a broken directory.
        """
        try:
            archive = ZipFile(io.BytesIO(source.data))
        except (BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise invalid("The archive is broken or cut off. Pack it again.") from error
        members = archive.infolist()
        unpacked = sum(each.file_size for each in members)
        source.budget.take(len(members), unpacked)
        if unpacked > max(RATIO_FROM_BYTES, source.limits.ratio * len(source.data)):
            raise invalid("The archive unpacks to far more than it should (a ZIP bomb?). Send its files themselves.")
        return cls(archive)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def read(self, part: str | ZipInfo) -> bytes:
        """One member; the last one of a name.

        Raises:
            Unreadable: it is missing, locked, packed in an unknown way or damaged.
        """
        name = part.filename if isinstance(part, ZipInfo) else part
        member = part if isinstance(part, ZipInfo) else self._members.get(part)
        if member is None:
            raise invalid(f"The file is broken: its part {short(name)!r} is missing. Save it again.")
        if member.flag_bits & LOCKED:
            raise invalid("The file is locked with a password. Save it without one.")
        try:
            return self._archive.read(member)
        except (BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError) as error:
            raise invalid(f"The file is broken: its part {short(name)!r} cannot be unpacked. Save it again.") from error

    def xml(self, name: str) -> Element:
        """One member as XML without document types, entities or anything from outside.

        Raises:
            Unreadable: see `read`, or it is no such XML.
        """
        return xml(self.read(name), name)

    def related(self, name: str) -> dict[str, str]:
        """The parts that an office part names: id -> name of the member. What stands outside is left out."""
        folder, file = posixpath.split(name)
        relations = posixpath.join(folder, "_rels", f"{file}.rels")
        if relations not in self:
            return {}
        return {
            each.get("Id", ""): resolved(folder, each.get("Target", ""))
            for each in self.xml(relations).iter(RELATIONS)
            if each.get("TargetMode") != "External"
        }


def _name(members: list[ZipInfo]) -> None:
    """Give members the names that were meant: old programs write them in their country's encoding and do not say so."""
    old = [each for each in members if not each.flag_bits & UTF8 and not each.orig_filename.isascii()]
    try:
        written = "\n".join(each.orig_filename for each in old).encode(UNSAID)
        meant = decode(written).split("\n")
    except (UnicodeEncodeError, Unreadable):
        return
    if len(meant) == len(old) and all(each.filename == each.orig_filename for each in old):
        for member, name in zip(old, meant, strict=True):
            member.filename = name


def names(data: bytes) -> frozenset[str]:
    """The names in a ZIP file's directory; none where it is no ZIP file."""
    if not data.startswith(MAGIC):
        return frozenset()
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            return frozenset(archive.namelist())
    except (BadZipFile, ValueError, OSError, NotImplementedError):
        return frozenset()


def xml(data: bytes, name: str) -> Element:
    """XML without document types, entities or anything from outside.

    Raises:
        Unreadable: it is no such XML.
    """
    try:
        root: Element = fromstring(STRICT.sub(TRANSITIONAL, data), forbid_dtd=True)
    except DefusedXmlException as error:
        raise invalid(
            f"The file's part {short(name)!r} declares XML entities or a document type. Save it again."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise invalid(f"The file is broken: its part {short(name)!r} is not XML. Save it again.") from error
    return root


def short(name: str) -> str:
    """A name for a message: whoever makes a file may give its parts any."""
    return name if len(name) <= NAME_CHARACTERS else f"{name[:NAME_CHARACTERS]}…"


def resolved(folder: str, target: str) -> str:
    """The member that `target` names, seen from `folder`; never outside the container."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")
