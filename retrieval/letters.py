"""Which encoding of one byte a letter a text is in: the one in which its words are written with one language's letters.

Only words with bytes beyond ASCII tell anything. Encodings of East Asia are not known here.
"""

import re
from collections import Counter

ENCODINGS = (
    "cp1254", "cp1252", "cp1250", "iso8859_2", "iso8859_15", "cp1257", "cp1251", "koi8_r", "koi8_u", "cp866",
    "iso8859_5", "cp1253", "iso8859_7", "cp1255", "cp1256", "iso8859_6", "cp874", "cp850", "cp852", "mac_roman",
)  # fmt: skip
"""The likelier first. Turkish before the one of the West, which differs in letters of Iceland only."""
WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
MAX_WORDS = 2000
LATIN = (
    "äöüß", "àâçéèêëîïôœùûüÿæ", "áéíóúñüªº", "ãõçáéíóúâêôàüªº", "åäö", "æøåé", "àèéìòùîªº", "áðéíóúýþæö", "àçéèíïóòúü",
    "ğşıİçöüâî", "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "ąčęėįšųūž",
    "āčēģīķļņšūž", "äöõüšž", "éëïöü",
)  # fmt: skip
OTHER = (
    ("оеаинтсрвлкмдпу", "ябгыьзчйхжшюцщэфъё"),
    ("оаинвтерісклдпу", "мязьбгйчхжцюїєфшщґ"),
    ("αοιετσνηυρπκμλς", "άέήίόύώϊϋΐΰβγδζθξφχψω"),
    ("יוהלאמתרבש", "גדזחטךכםןנסעףפץצק"),
    ("اليمونرتبةعدسفهكقحج", "ءآأؤإئثخذزشصضطظغىًٌٍَُِّْ،؛؟"),
    ("ารนกอเงมยลวดท่้", "".join(map(chr, range(0x0E01, 0x0E5C)))),
)
"""Of alphabets of which no letter is ASCII: those that most of a text is written with, and the others."""
RARE, ABROAD = 0.5, 0.6
"""What a rare letter counts, and one of several languages of the West in one text."""
LATIN_END = "\u024f"
SIGNS = frozenset("“”„‚‘’‹›«»–—…€£¥§°©®™±²³µ·¹ªº½¼¾¡¿•†×÷№\xa0")
JOINING = frozenset("’·\xad")
LANGUAGES = (
    *(dict.fromkeys(letters, 1.0) for letters in LATIN),
    *(dict.fromkeys(rare, RARE) | dict.fromkeys(common, 1.0) for common, rare in OTHER),
    {letter: ABROAD for letters in LATIN[:9] for letter in letters},
)


def likeliest(data: bytes) -> tuple[str, float] | None:
    """The encoding and how likely it is, at most 1; None where nothing beyond ASCII can be read in any."""
    words = [word for word in dict.fromkeys(WORD.findall(data)) if not word.isascii()][:MAX_WORDS]
    best: tuple[str, float] | None = None
    for encoding in ENCODINGS:
        try:
            text = b" ".join(words).decode(encoding)
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        likely = _likely(text)
        if best is None or likely > best[1]:
            best = (encoding, likely)
    return best if words else None


def _likely(text: str) -> float:
    """How many letters are one language's, less those that stand as none does: a capital or two alphabets in a word."""
    letters: Counter[str] = Counter()
    signs = strange = count = 0
    for before, own, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if own.isascii():
            continue
        count += 1
        if own in SIGNS:
            signs += -1 if before.isalpha() and after.isalpha() and own not in JOINING else 1
        else:
            letters[own if own == "İ" else own.lower()] += 1
            strange += (own.isupper() and before.islower()) + (own.islower() and after.isupper())
            strange += own > LATIN_END and any(each.isascii() and each.isalpha() for each in (before, after))
    alike = max(sum(n * language.get(letter, -1.0) for letter, n in letters.items()) for language in LANGUAGES)
    return (alike + signs - strange) / max(1, count)
