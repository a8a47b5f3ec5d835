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
    "äöüß", "àâçéèêëîïôœùûüÿ", "áéíóúñüªº", "ãõçáéíóúâêôàüªº", "åäö", "æøåé", "àèéìòùîªº", "áðéíóúýþæö", "àçéèíïóòúü",
    "ğşıİçöüâî", "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "ąčęėįšųūž",
    "āčēģīķļņšūž", "äöõüšž", "éëïöü",
)  # fmt: skip
OTHER = (
    ("оеаинтсрвлкмдпу", "ябгыьзчйхжшюцщэфъё"),
    ("оаинвтерісклдпу", "мязьбгйчхжцюїєфшщґ"),
    ("αοιετσνηυρπκμλς", "άέήίόύώϊϋΐΰβγδζθξφχψω"),
    ("יוהלאמתרבשנעםדח", "גזטךכןסףפץצק"),
    ("اليمونرتبةعدسفهكقحج", "ءآأؤإئثخذزشصضطظغىًٌٍَُِّْ،؛؟"),
    ("ารนกอเงมยลวดท่้", "".join(map(chr, range(0x0E01, 0x0E5C)))),
)
"""Of alphabets of which no letter is ASCII: those that most of a text is written with, and the others."""
RARE, ABROAD, GUESSED, SHOUTED = 0.5, 0.6, 0.1, 0.1
"""What a rare letter counts, and one of several languages of the West in one text; for a guess; less for a capital."""
FINAL = frozenset("ςםןףץך")
"""Letters that stand at the end of a word only."""
OF_LATIN = frozenset(("cp1254", "cp1252", "cp1250", "iso8859_2", "iso8859_15", "cp1257", "cp850", "cp852", "mac_roman"))
LATIN_END = "\u024f"
SIGNS = frozenset("“”„‚‘’‹›«»–—…€£¥§°©®™±²³µ·¹ªº½¼¾¡¿•†×÷№\xa0")
RAISED = frozenset("¹²³ªº¼½¾µ±¡¿")
"""Signs that stand for letters of other languages, where they stand beside one."""
JOINING = frozenset("’·\xad")
LANGUAGES = (
    *(dict.fromkeys(letters, 1.0) for letters in LATIN),
    *(dict.fromkeys(rare, RARE) | dict.fromkeys(common, 1.0) for common, rare in OTHER),
    {letter: ABROAD for letters in LATIN[:9] for letter in letters},
)


def likeliest(data: bytes, guess: str | None = None) -> tuple[str, float] | None:
    """The encoding and how likely it is, about 1 at most; None where nothing beyond ASCII can be read in any.

    `guess` is what somebody else makes of it: alphabets are told apart by how often letters follow each other too.
    """
    words = [word for word in dict.fromkeys(WORD.findall(data)) if not word.isascii()][:MAX_WORDS]
    best: tuple[str, float] | None = None
    for encoding in ENCODINGS:
        try:
            text = b" ".join(words).decode(encoding)
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        likely = _likely(text) + (GUESSED if encoding == guess and encoding not in OF_LATIN else 0.0)
        if best is None or likely > best[1]:
            best = (encoding, likely)
    return best if words else None


def _likely(text: str) -> float:
    """The share of one language's letters, less those that stand as none does: a capital or two alphabets in a word."""
    letters: Counter[str] = Counter()
    signs = strange = 0.0
    count = 0
    for before, own, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if own.isascii():
            continue
        count += 1
        if own in SIGNS:
            beside = before.isalpha() + after.isalpha()
            signs += 1 if own in JOINING or not beside else -1 if beside > 1 else own not in RAISED
        else:
            letters[own if own == "İ" else own.lower()] += 1
            strange += (own.isupper() and before.islower()) + (own.islower() and after.isupper())
            strange += own in FINAL and after.isalpha()
            strange += SHOUTED * (own > LATIN_END and own.isupper() and before.isupper())
            strange += own > LATIN_END and any(each.isascii() and each.isalpha() for each in (before, after))
    alike = max(sum(n * language.get(letter, -1.0) for letter, n in letters.items()) for language in LANGUAGES)
    return (alike + signs - strange) / max(1, count)
