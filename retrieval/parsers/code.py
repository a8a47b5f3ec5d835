"""Source code by suffix: a block for each top-level definition, found by its indentation, in whatever language."""

import re
from collections.abc import Iterator

from retrieval.documents import Block, Document, check_length
from retrieval.encodings import declared, decode
from retrieval.format import Format, Source

SUFFIXES = """
py pyi pyx ipy js mjs cjs jsx ts tsx java kt kts scala groovy c h cc cpp cxx hpp hh cs fs vb go rs rb php pl pm lua r jl
swift m mm dart ex exs erl hrl hs ml mli clj cljs lisp el scm sql sh bash zsh fish ps1 bat cmd mk cmake gradle tf hcl
yaml yml toml ini cfg conf properties env proto graphql css scss sass less vue svelte xml xsd xsl diff patch asm s f90
f95 pas zig nim v vhd sv sol
"""
TOP = re.compile(r"(?:\A|\n[ \t]*\n+)(?=[^\s)\]}])")
"""The start of a line that is not indented, after a blank line."""


def create() -> Format:
    """Source files, and files of settings."""
    return Format(frozenset(f".{suffix}" for suffix in SUFFIXES.split()), parse)


def parse(source: Source) -> Document:
    """The text as it stands."""
    text = decode(source.data, declared(source.data))
    check_length(len(text), source.limits)
    return Document("", text, tuple(_definitions(text)))


def _definitions(text: str) -> Iterator[Block]:
    starts = [match.end() for match in TOP.finditer(text)]
    if not starts or text[: starts[0]].strip():
        starts.insert(0, len(text) - len(text.lstrip()))
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        if end := len(text[start:stop].rstrip()):
            yield Block(start, start + end, "code")
