from pathlib import Path

import pytest

from configs.problems import Refused
from configs.tree import plain
from configs.yaml_source import MAX_BYTES, MAX_NODES, read_bytes, read_file


def values(text: str) -> object:
    return plain(read_bytes(text.encode(), "x.yaml"))


def refusal(raw: bytes) -> str:
    with pytest.raises(Refused) as refused:
        read_bytes(raw, "x.yaml")
    return str(refused.value)


def test_scalars_follow_the_core_rules() -> None:
    text = """
        a: [null, ~, true, False, 1, -2, 1.5, 1e3, .5, 0777]
        b: [no, "yes", on, 2024-01-01, 1:30, 0x1F, "1", 'true', 1_000]
        c: |
          a block
    """
    assert values(text) == {
        "a": [None, None, True, False, 1, -2, 1.5, 1000.0, 0.5, 777],
        "b": ["no", "yes", "on", "2024-01-01", "1:30", "0x1F", "1", "true", "1_000"],
        "c": "a block\n",
    }


def test_keys_are_text_as_written() -> None:
    assert values("1: a\ntrue: b\n") == {"1": "a", "true": "b"}


def test_a_byte_order_mark_is_skipped() -> None:
    assert plain(read_bytes(b"\xef\xbb\xbfa: 1\n", "x.yaml")) == {"a": 1}


def test_anchors_aliases_and_merging() -> None:
    text = """
        base: &base {seed: 1, dtype: auto}
        more: &more {seed: 2, max_num_seqs: 4}
        one: {<<: *base, seed: 3}
        two: {<<: [*base, *more]}
        three: *base
    """
    assert values(text) == {
        "base": {"seed": 1, "dtype": "auto"},
        "more": {"seed": 2, "max_num_seqs": 4},
        "one": {"seed": 3, "dtype": "auto"},
        "two": {"seed": 1, "dtype": "auto", "max_num_seqs": 4},
        "three": {"seed": 1, "dtype": "auto"},
    }


REFUSED = {
    "a duplicate key": (b"a: 1\nb: 2\na: 3\n", "x.yaml:3:1: key 'a' stands twice here"),
    "a nested duplicate": (b"a:\n  b: 1\n  'b': 2\n", "x.yaml:3:3: key 'b' stands twice here"),
    "two merges": (b"a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", "x.yaml:2:13: key '<<' stands twice here"),
    "a merge of a number": (b"b: {<<: 1}\n", "x.yaml:1:5: '<<' merges mappings only"),
    "a tag": (b"a: 1\nb: !!python/object/apply:os.system [id]\n", "x.yaml:2:4: the tag "),
    "a harmless tag": (b"b: !!str 1\n", "x.yaml:1:4: the tag 'tag:yaml.org,2002:str' is not allowed"),
    "a tag of one mark": (b"b: ! 1\n", "x.yaml:1:4: the tag '!' is not allowed"),
    "a key that is a list": (b"? [a]\n: 1\n", "x.yaml:1:3: a key must be plain text"),
    "no mapping": (b"- a\n", "x.yaml:1:1: the file must be a mapping of keys to values"),
    "one word": (b"hello", "x.yaml:1:1: the file must be a mapping of keys to values"),
    "two documents": (b"a: 1\n---\nb: 1\n", "x.yaml:2:1: this is not YAML: "),
    "a broken line": (b"a: 1\nb: [1, 2\nc: 3\n", "x.yaml:3:2: this is not YAML: "),
    "a tab": (b"a:\n\tb: 1\n", "x.yaml:2:1: this is not YAML: "),
    "an unknown alias": (b"a: *nobody\n", "x.yaml:1:4: this is not YAML: "),
    "infinity": (b"a: .inf\n", "x.yaml:1:4: '.inf' is no finite number"),
    "not a number": (b"a: [.nan]\n", "x.yaml:1:5: '.nan' is no finite number"),
    "an infinite number": (b"a: 1e999\n", "x.yaml:1:4: the number '1e999' is too large"),
    "a NUL": (b'a: "\\0"\n', "x.yaml:1:4: this text holds a NUL"),
    "a raw NUL": (b"a: \0\n", "this is not YAML: it holds characters that YAML does not allow"),
    "bytes that are no UTF-8": (b"a: 1\nb: \xff\xfe\n", "x.yaml:2:4: the file is not UTF-8 text"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "x.yaml:1:1: the file is not UTF-8 text"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00", "x.yaml:1:1: the file is not UTF-8 text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_taken(case: str) -> None:
    raw, message = REFUSED[case]

    assert message in refusal(raw)


def test_lone_surrogates_are_refused_whoever_parses_them() -> None:
    assert refusal(b'a: "\\ud800"\n').startswith("x.yaml:1:")


BOMBS = {
    "size": (b"a: " + b"x" * MAX_BYTES, "larger than 1 MiB"),
    "lists": (b"[" * MAX_BYTES, "nests deeper than 64 levels"),
    "mappings": (b"{a: " * (MAX_BYTES // 4), "nests deeper than 64 levels"),
    "block lists": (b"- " * (MAX_BYTES // 2), "nests deeper than 64 levels"),
    "complex keys": (b"? " * (MAX_BYTES // 2), "nests deeper than 64 levels"),
    "values": (b"a: [" + b"1," * (MAX_BYTES // 2 - 10) + b"]", f"more than {MAX_NODES} values"),
    "a cycle": (b"a: &a [*a]\n", "more than 64 levels"),
    "laughs": (
        b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)),
        f"more than {MAX_NODES} values",
    ),
    "one long laugh": (b"a: &a " + b"x" * 500_000 + b"\nb: [" + b"*a," * 9000 + b"]\n", "too much text"),
    "a long number": (b"a: " + b"9" * (MAX_BYTES - 100) + b"\n- x", "this is not YAML"),
    "anchors": (b"&a " * (MAX_BYTES // 3), "this is not YAML"),
}


@pytest.mark.parametrize("case", BOMBS)
@pytest.mark.timeout(30)
def test_bombs_are_refused(case: str) -> None:
    raw, message = BOMBS[case]

    assert message in refusal(raw)


def test_a_number_longer_than_any_of_ours_is_text() -> None:
    assert values(f"a: {'9' * 100_000}x\nb: {'9' * 100_000}\n") == {"a": "9" * 100_000 + "x", "b": "9" * 100_000}


def test_a_device_is_no_file() -> None:
    with pytest.raises(Refused, match="it is not a file"):
        read_file(Path("/dev/zero"))


def test_a_path_with_a_nul_is_no_file() -> None:
    with pytest.raises(Refused, match="x"):
        read_file(Path("x\0y"))
