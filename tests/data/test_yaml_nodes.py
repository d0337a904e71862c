import time

import pytest

from jaxrcnn.data.yaml_nodes import (
    MOST_CHARACTERS,
    is_nothing,
    mapping,
    parse_yaml,
    scalar,
    sequence,
)


def test_every_value_is_its_text():
    entries = mapping(parse_yaml("a: no\n1: 2024-01-01\nb: ' x'\nc: 0x10\non: ~\n"), "it")
    values = {key: scalar(node, key) for key, node in entries.items()}
    assert values == {"a": "no", "1": "2024-01-01", "b": "x", "c": "0x10", "on": "~"}
    assert is_nothing(entries["on"])
    assert is_nothing(None)
    assert not is_nothing(mapping(parse_yaml("a: 'null'"), "it")["a"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [1", r"it is not YAML \(line 1: "),
        ("a: 'x", r"it is not YAML \(line 1: "),
        ("a: b\n\tc: d", "it is not YAML"),
        ("a: \0", "it is not YAML"),
        ('a: "\\UFFFFFFFF"', "it is not YAML"),
        ("a: *b", "it is not YAML"),
        ("a: 1\n---\nb: 2", "it is not YAML"),
        ("[" * 5000, "nested too deeply"),
        ("a" * (MOST_CHARACTERS + 1), "more than 1000000 characters"),
    ],
)
def test_what_is_no_yaml_is_named_on_one_line(text, what):
    with pytest.raises(ValueError, match=what) as caught:
        parse_yaml(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- a", "it is not a mapping"),
        ("", "it is not a mapping"),
        ("a: 1\na: 2", "it has the key 'a' twice"),
        ("[a]: 1", "a key of it is not a single value"),
    ],
)
def test_what_is_no_mapping_is_named(text, what):
    with pytest.raises(ValueError, match=what):
        mapping(parse_yaml(text), "it")


def test_lists_and_single_values_are_told_apart():
    entries = mapping(parse_yaml("a: [1, 2]\nb: 3"), "it")
    assert [scalar(node, "a") for node in sequence(entries["a"], "a")] == ["1", "2"]
    with pytest.raises(ValueError, match="b is not a list"):
        sequence(entries["b"], "b")
    with pytest.raises(ValueError, match="a is not a single value"):
        scalar(entries["a"], "a")


def test_aliases_of_aliases_cost_nothing_and_nothing_is_built():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    start = time.monotonic()
    entries = mapping(parse_yaml("\n".join([*lines, "b: !!python/object/apply:os.abort []"])), "it")
    assert time.monotonic() - start < 5
    assert len(sequence(entries["a29"], "a29")) == 10  # of 10 ** 30 values
    assert sequence(entries["b"], "b") == []


def test_what_nests_deeply_is_refused_before_it_is_parsed():
    began = time.monotonic()
    for text in ("[" * 200_000, "a: " + "{b: " * 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_yaml(text)
    assert time.monotonic() - began < 10
    assert parse_yaml("[" * 100 + "]" * 100) is not None
