"""Texts in every encoding come back letter for letter."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents import Limits, Unreadable, clean
from retrieval.encodings import decode
from retrieval.formats import parse

UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
WESTERN = "The café’s “menu” — 5 € for a crème brûlée, naïve façade. Größe überprüft."
POLISH = "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw."
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью."
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα."
JAPANESE = "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。"
SIMPLIFIED = "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。"
TRADITIONAL = "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神互相對待。"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 이성과 양심을 부여받았다."
WAYS = [
    (WESTERN, "cp1252"), (POLISH, "cp1250"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (GREEK, "cp1253"),
    (JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"), (JAPANESE, "iso2022_jp"), (SIMPLIFIED, "gb18030"),
    (SIMPLIFIED, "gbk"), (TRADITIONAL, "big5"), (KOREAN, "euc_kr"), (KOREAN, "cp949"),
    *((text, codec) for text in (WESTERN, RUSSIAN, JAPANESE, SIMPLIFIED) for codec in ("utf-16-le", "utf-16-be")),
    (WESTERN, "utf-32-le"), (JAPANESE, "utf-32-be"),
]  # fmt: skip


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.sampled_from(UNICODE))
def test_unicode_comes_back(text: str, codec: str) -> None:
    assert decode(text.encode(codec)) == clean(text).removeprefix("\ufeff")


@given(st.integers(1, 30), st.sampled_from(WAYS))
def test_an_encoding_that_nobody_declares_comes_back(times: int, way: tuple[str, str]) -> None:
    text = "\n".join([way[0]] * times)
    assert decode(text.encode(way[1])) == text


@pytest.mark.parametrize(("text", "codec"), WAYS)
def test_a_declared_encoding_is_believed(text: str, codec: str) -> None:
    assert decode(text[:12].encode(codec), codec) == text[:12]


LETTERS = [
    ("Umowa gwarancyjna obowiązuje przez dwa lata. Zażółć gęślą jaźń.", ("cp1250", "iso8859_2")),
    ("Záruka platí dva roky. Zákazník může podat stížnost písemně.", ("cp1250", "iso8859_2")),
    ("A jótállás két évig érvényes. Az ügyfél írásban tehet panaszt: árvíztűrő tükörfúrógép.", ("cp1250",)),
    ("Garanti süresi satın alma tarihinden itibaren iki yıldır.", ("cp1254", "iso8859_9")),
    ("Привет, мир! Это документ о гарантии.", ("cp1251", "koi8_r", "cp866", "iso8859_5")),
    ("Гарантія діє два роки з дня покупки. Її можна подовжити.", ("cp1251", "koi8_u")),
    ("الضمان ساري لمدة سنتين من تاريخ الشراء.", ("cp1256", "iso8859_6")),
    ("การรับประกันมีผลสองปีนับจากวันที่ซื้อ", ("cp874",)),
    ("Le cœur coûte 25 €; les élèves ont étudié à l'école.", ("cp1252", "iso8859_15")),
    ("Są oni obdarzeni rozumem i sumieniem i powinni postępować w duchu braterstwa.", ("cp1250", "iso8859_2")),
    ("Toate fiinţele umane se nasc libere şi egale în drepturi.", ("cp1250",)),
    ("כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה.", ("cp1255", "iso8859_8")),
    ("Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis.", ("cp1257",)),
    ("Ihre Straße Nr. 5½ in Zürich kostet 12 m² zu 4 € — naïve Résumés von José.", ("cp1252",)),
    ("Total: £12 ½ at 20° ± 3%", ("cp1252",)),
    ("Temp 20°C", ("cp1252",)),
    ("© 2026 Example GmbH", ("cp1252",)),
    ("Größe,Übung,Köln", ("cp1252", "cp850", "mac_roman")),
]


@pytest.mark.parametrize(("text", "codec"), [(text, codec) for text, codecs in LETTERS for codec in codecs])
def test_a_short_text_is_known_by_the_letters_of_its_language(text: str, codec: str) -> None:
    assert decode(text.encode(codec)) == text


@pytest.mark.parametrize(
    ("head", "filename"),
    [('<?xml version="1.0" encoding="koi8-r"?>\n<a>', "a.xml"), ("#!/bin/python\n# -*- coding: koi8-r -*-\n", "a.py"),
     ('<?xml version="1.0" encoding="koi8-r"?><html><p>', "a.xhtml")],
)  # fmt: skip
def test_what_a_file_says_about_its_encoding_is_believed(head: str, filename: str) -> None:
    assert "Юла" in parse(f"{head}Юла".encode("koi8_r"), filename, Limits()).text


@pytest.mark.parametrize("head", [b"", b"\x93NUMPY\1\0\x0e\0", b"RIFF\x24\x10\0\0WAVEfmt "])
def test_numbers_of_two_bytes_are_no_chinese(head: bytes) -> None:
    for top in (1000, 12_000, 30_000):
        numbers = (int(top * (1 + math.sin(n / 9)) / 2 + n % 7) for n in range(2000))
        with pytest.raises(Unreadable):
            decode(head + b"".join(n.to_bytes(2, "little") for n in numbers))


def test_a_wrong_word_about_the_encoding_is_not() -> None:
    assert decode("Größe".encode(), "ascii") == "Größe"
    assert decode("Größe".encode("cp1252"), "no-such-codec") == "Größe"
    assert decode("Größe".encode("cp1252"), "zlib") == "Größe"


def test_every_byte_comes_back_as_a_letter() -> None:
    assert len(decode(b"plain words " * 20 + bytes(range(0x80, 0x100)))) == 240 + 128


@pytest.mark.parametrize("data", [bytes(range(256)) * 20, b"\x89PNG\r\n\x1a\n" + bytes(200) + b"\x01\x02" * 99])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(data)
    assert caught.value.code == "unsupported_file"


@pytest.mark.parametrize(
    "text",
    [
        "ID3 tags are the metadata of MP3 files.\n", "ID3,name\n1,a\n", "ID3\tname\n", "ID3\n", "ID3",
        "GIF89a is the second version of the format.\n", "GIF8", "GIF87a\r\n\tand GIF89a\r\n",
        "OggS is the capture pattern of a page.\n", "OggS", "II* and MM* are byte orders.\n",
    ],
)  # fmt: skip
def test_a_text_about_a_format_is_none_of_it(text: str) -> None:
    assert decode(text.encode()) == clean(text)


def test_latvian_is_no_icon() -> None:
    assert decode("Ābeles zied.".encode("utf-32-be")) == "Ābeles zied."


@pytest.mark.parametrize(
    "data",
    [
        b"ID3\x03\0\0\0\0\0\x15TIT2", b"ID3\x04\0", b"OggS\0\x02", b"\0\0\1\0\1\0\x10\x10", b"MM\0*\0\0\0\x08",
        b"II*\0\x08", b"GIF89a\1\0\1\0\x80\0\0\xff\xff\xff;", b"GIF87a  @ \xf7\0\0", b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"\x7fELF\2",
    ],
)  # fmt: skip
def test_a_small_file_of_a_known_kind_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data)
