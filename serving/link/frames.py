"""Frames: what is written on a link, and how a byte stream falls apart into them.

A frame is a little-endian header (payload length u32, stream u32, kind u8) and its payload. Stream 0 speaks of the
link itself. The payloads:

    HELLO    secret                       ingress -> replica, first frame
    OPEN     head length u16, head, body  ingress -> replica, starts a stream; the head is JSON
    CANCEL   nothing                      ingress -> replica, the client left
    RELEASE  lease id                     ingress -> replica, the slot is free again
    HEAD     content type                 replica -> ingress
    DATA     bytes                        replica -> ingress, whole SSE events or any part of a body
    END      usage, three u32             replica -> ingress
    FAIL     pickle-free error, JSON      replica -> ingress
"""

import struct
from collections.abc import Iterator
from enum import IntEnum

import orjson

from configs import errors
from models.wire import Call, Usage

HEADER = struct.Struct("<IIB")
OPEN_HEAD = struct.Struct("<H")
USAGE = struct.Struct("<III")
MAX_PAYLOAD = 256 * 2**20
MAX_HELLO = 1024
"""Until the secret was shown, a stranger's bytes are kept."""
KNOWN_ERRORS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.MantaError)
}


class FrameKind(IntEnum):
    """What a frame means; see the module docstring."""

    HELLO = 1
    OPEN = 2
    CANCEL = 3
    RELEASE = 4
    HEAD = 5
    DATA = 6
    END = 7
    FAIL = 8


class LinkBroken(Exception):
    """The peer does not speak this protocol, or went away in the middle of a frame."""


def pack(kind: FrameKind, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(len(payload), stream, kind) + payload


class Splitter:
    """Cuts received bytes into frames; keeps an incomplete tail for the next read."""

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self.max_payload = max_payload
        self._tail = bytearray()
        self._needed = 0

    def feed(self, data: bytes) -> Iterator[tuple[FrameKind | int, int, bytes]]:
        """Yield (kind, stream, payload) for each complete frame.

        Raises:
            LinkBroken: a frame claims more than `max_payload` bytes.
        """
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return
            data = bytes(self._tail)
            self._tail.clear()
        position, size = 0, len(data)
        unpack, header_size = HEADER.unpack_from, HEADER.size
        while size - position >= header_size:
            length, stream, kind = unpack(data, position)
            if length > self.max_payload:
                msg = f"a frame of {length} bytes is above the limit of {self.max_payload}"
                raise LinkBroken(msg)
            end = position + header_size + length
            if end > size:
                self._needed = end - position
                break
            yield kind, stream, data[position + header_size : end]
            position = end
        else:
            self._needed = header_size
        if position < size:
            self._tail += data[position:]


def pack_open(stream: int, call: Call) -> bytes:
    """The frame that starts a stream."""
    head = orjson.dumps([call.path, call.request_id, call.tenant, call.lease])
    return pack(FrameKind.OPEN, stream, OPEN_HEAD.pack(len(head)) + head + call.body)


def unpack_open(payload: bytes) -> Call:
    """The call inside an OPEN frame."""
    (length,) = OPEN_HEAD.unpack_from(payload)
    start = OPEN_HEAD.size + length
    path, request_id, tenant, lease = orjson.loads(payload[OPEN_HEAD.size : start])
    return Call(path=path, body=payload[start:], request_id=request_id, tenant=tenant, lease=lease)


def pack_usage(usage: Usage) -> bytes:
    """Payload of END."""
    return USAGE.pack(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


def unpack_usage(payload: bytes) -> Usage:
    """The usage inside an END frame."""
    return Usage(*USAGE.unpack(payload))


def pack_error(error: errors.MantaError) -> bytes:
    """Payload of FAIL: the error's class by name, so that no pickle ever crosses a link."""
    return orjson.dumps([type(error).__name__, error.message, error.param, error.retry_after_s])


def unpack_error(payload: bytes) -> errors.MantaError:
    """The error inside a FAIL frame; a name that the tree does not have becomes an internal error."""
    name, message, param, retry_after_s = orjson.loads(payload)
    cls = KNOWN_ERRORS.get(name, errors.Internal)
    return cls(message, param=param, retry_after_s=retry_after_s)
