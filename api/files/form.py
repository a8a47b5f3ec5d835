"""An uploaded form (`multipart/form-data`), read in pieces as it arrives: small fields, and one file.

The file is never whole in memory. It knows neither who sends the form nor what the fields mean.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from configs.errors import BadRequest, PayloadTooLarge

FORM = b"multipart/form-data"
FILE = "file"
MAX_PARTS = 32
MAX_FIELD_BYTES = 16 * 1024
"""Of all fields together, the file apart."""
MAX_NAME_CHARACTERS = 255
HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Controls, line ends, and what turns the direction of text around. Spaces and joiners of all scripts are in names."""
NOT_A_FORM = "The body is no valid multipart/form-data."


class Form:
    """Feed it the body; it hands back what belongs to the file, and has `fields` and `filename` at the end."""

    def __init__(self, content_type: bytes, max_file_bytes: int) -> None:
        """`content_type` is the request's header.

        Raises:
            BadRequest: it names no form, or no boundary.
        """
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.size = 0
        """Bytes of the file so far."""
        self._max_file_bytes = max_file_bytes
        self._pieces: list[bytes] = []
        self._values: dict[str, bytearray] = {}
        self._field_bytes = self._parts = 0
        self._header, self._value, self._name = bytearray(), bytearray(), ""
        self._disposition: bytes | None = None
        self._complete = False
        kind, options = parse_options_header(content_type)
        if kind != FORM or not options.get(b"boundary"):
            raise BadRequest("Send the file as multipart/form-data with a boundary.")
        with _as_bad_request():
            self._parser = self._made(options[b"boundary"])

    def feed(self, piece: bytes) -> list[bytes]:
        """What of the next piece of the body belongs to the file.

        Raises:
            BadRequest: this is no valid form.
            PayloadTooLarge: the file, or the rest of the form, is longer than it may be.
        """
        with _as_bad_request():
            self._parser.write(piece)
        found, self._pieces = self._pieces, []
        return found

    def finish(self) -> str:
        """The body is over; the name of the file.

        Raises:
            BadRequest: it was cut, has no file, or a field is no text.
        """
        if not self._complete:
            raise BadRequest("The form ends before its closing boundary: the upload was cut.")
        for name, value in self._values.items():
            self.fields[name] = _text(bytes(value), name)
        if self.filename is None:
            raise BadRequest("The form has no file: send one in the field 'file'.", param=FILE)
        return self.filename

    def _made(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._name_part,
                "on_part_data": self._take,
                "on_end": self._end,
            },
        )

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise PayloadTooLarge(f"The form has more than {MAX_PARTS} parts.")
        self._disposition = None

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _name_part(self) -> None:
        kind, options = parse_options_header(self._disposition or b"")
        name, filename = options.get(b"name", b""), options.get(b"filename")
        if kind != b"form-data" or not name:
            raise BadRequest(NOT_A_FORM)
        self._name = _text(name, "name")
        if self._name in self._values or (self._name == FILE and self.filename is not None):
            raise BadRequest("A field of the form stands twice.", param=self._name[:MAX_NAME_CHARACTERS])
        if self._name == FILE:
            if filename is None:
                raise BadRequest("The field 'file' has no file name.", param=FILE)
            self.filename = file_name(_text(filename, FILE))
        else:
            self._values[self._name] = bytearray()

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self.size += end - start
            if self.size > self._max_file_bytes:
                raise PayloadTooLarge(f"The file is larger than {self._max_file_bytes} bytes.", param=FILE)
            self._pieces.append(bytes(data[start:end]))
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise PayloadTooLarge(f"The fields of the form are longer than {MAX_FIELD_BYTES} bytes.")
        self._values[self._name] += data[start:end]

    def _end(self) -> None:
        self._complete = True


def file_name(text: str) -> str:
    """The last part of a path, as a name to keep and to show.

    Raises:
        BadRequest: nothing is left, or it is too long or has control characters.
    """
    name = text.replace("\\", "/").rpartition("/")[2].strip()
    if name in ("", ".", "..") or len(name) > MAX_NAME_CHARACTERS or HARMFUL.search(name):
        raise BadRequest(
            f"A file name is 1 to {MAX_NAME_CHARACTERS} characters, without control characters.", param=FILE
        )
    return name


@contextmanager
def _as_bad_request() -> Iterator[None]:
    try:
        yield
    except FormParserError:
        raise BadRequest(NOT_A_FORM) from None


def _text(value: bytes, param: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadRequest("The form has a text that is not valid UTF-8, or has NUL characters.", param=param[:64])
    return text
