"""What may happen to a file on its way, and what somebody may do to it who knows the format."""

import io
import random
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

PIECES = (
    b"<", b">", b"&", b"/", b'"', b"w:p", b"w:tbl", b"a:t", b"0", b"-1", b"99999999999999999999", b"\xff\xfe", b"\0",
    b"<!DOCTYPE a>", b"&#0;", b"]]>", b"xmlns=", b"%PDF-", b"<<", b"obj", b"stream", b"/Count 999999999", b"--",
    b"Content-Type: message/rfc822\r\n\r\n", b'{"', b"[[[[", b"\xed\xa0\x80", b"\x1b$B",
)  # fmt: skip


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, with bytes changed, or with a part twice."""
    cut = data[: chance.randrange(1, len(data) + 1)] if chance.random() < 0.3 else data
    noisy = bytearray(cut)
    for _ in range(chance.randrange(12)):
        noisy[chance.randrange(len(noisy))] = chance.randrange(256)
    start = chance.randrange(len(noisy))
    return bytes(noisy[:start] + noisy[start // 2 :] if chance.random() < 0.2 else noisy)


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """Damaged behind its checksums: members of a ZIP file are packed again, and pieces of formats stand in between."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            members = {each.filename: archive.read(each) for each in archive.infolist() if each.file_size}
    except BadZipFile:
        return _mixed(data, chance)
    chosen = set(chance.sample(sorted(members), min(len(members), chance.randrange(1, 4))))
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, member in members.items():
            if name not in chosen:
                archive.writestr(name, member)
            elif chance.random() < 0.9:
                archive.writestr(name, (spoilt if chance.random() < 0.6 else damaged)(member, chance))
    return file.getvalue()


def _mixed(data: bytes, chance: random.Random) -> bytes:
    """With pieces put in, repeated and left out."""
    mixed = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        place, how = chance.randrange(len(mixed) + 1), chance.random()
        if how < 0.4:
            mixed[place:place] = chance.choice(PIECES)
        elif how < 0.7:
            mixed[place:place] = mixed[place : place + chance.randrange(1, 200)] * chance.randrange(1, 30)
        else:
            del mixed[place : place + chance.randrange(1, 60)]
    return bytes(mixed) or b"x"
