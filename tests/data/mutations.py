"""Text files as damage, haste and malice leave them."""

import copy
import json
import math
import re

TOKENS = (
    *("nan", "NaN", "inf", "-inf", "1e400", "-1e400", "-1", "-0.5", "0", "1", "1e-320", "0x10"),
    *("9" * 30, "9" * 5000, "1_000", "1,5", "", " ", "text", "null", "~", "true", "no", "[]", "{}"),
    *("\0", "\ufeff", "\u2028", "\x85", "\r", "\t", "\N{SNOWMAN}", "\u0661", "a" * 10_000, "%s"),
    *('"', "'", '"""', "\\", "\\ud800", "\\x00", "[" * 3000, "{" * 500, "- " * 500, "]", "}"),
    *("&a [*a]", "*a", "!!python/object:os.system", "<<: *a", "---", "%YAML 9.9", "? [a]: b"),
    *("..", "/", "../..", "C:\\a\\b.png", "a.png", "p0.png", "images", "http://a/b.png", "~/x"),
    *("<!DOCTYPE a>", "&lt;", "<object>", "</annotation>", "<![CDATA[", "&#0;", "#", "=", ";"),
    *("1 0.5 0.5 0.2 0.2", "0 .1 .1 .2 .1 .2 .2 .1 .2", "0 0.5 0.5 0.2 0.2 0.9", "\n", "\n\n"),
)
WORD = re.compile(r"[^\s,:;<>\"'\[\]{}=/]+")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def mutated(content, rng):
    """The bytes of a file with one to three changes, by a generator of numpy's."""
    for _ in range(int(rng.integers(1, 4))):
        content = CHANGES[rng.integers(len(CHANGES))](content, rng)
    return content


def _flip(content, rng):
    if not content:
        return b"\xff\xfe\xff"
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), rng.integers(1, 4)):
        changed[place] = rng.integers(256)
    return bytes(changed)


def _delete(content, rng):
    start = int(rng.integers(len(content) + 1))
    return content[:start] + content[start + int(rng.integers(1, 20)) :]


def _insert(content, rng):
    place = int(rng.integers(len(content) + 1))
    return content[:place] + _token(rng) + content[place:]


def _truncate(content, rng):
    return content[: int(rng.integers(len(content) + 1))]


def _lines(content, rng):
    """Swap two lines, or put one in the place of another."""
    lines = content.split(b"\n")
    one, two = rng.integers(len(lines), size=2)
    if rng.integers(2):
        lines[one], lines[two] = lines[two], lines[one]
    else:
        lines[one] = lines[two]
    return b"\n".join(lines)


def _replace(pattern):
    def change(content, rng):
        text = content.decode("latin-1")
        found = list(pattern.finditer(text))
        if not found:
            return content
        start, end = found[rng.integers(len(found))].span()
        return text[:start].encode("latin-1") + _token(rng) + text[end:].encode("latin-1")

    return change


def _encode(content, rng):
    """As another program would save it."""
    text = content.decode("utf-8", "replace")
    return text.encode(("utf-16", "utf-8-sig", "utf-16-le", "cp1252")[rng.integers(4)], "replace")


def _token(rng):
    return TOKENS[rng.integers(len(TOKENS))].encode()


CHANGES = (
    *(_flip, _delete, _insert, _truncate, _lines, _encode),
    *(_replace(WORD), _replace(NUMBER), _replace(NUMBER)),
)


def damaged(content, rng):
    """The bytes of a binary file with one to three changes."""
    for _ in range(int(rng.integers(1, 4))):
        content = DAMAGES[rng.integers(len(DAMAGES))](content, rng)
    return content


def _overwrite(content, rng):
    """Put a number where a length, an offset or a count may be."""
    number, width = int(rng.choice(LENGTHS)), int(rng.choice((1, 2, 4, 8)))
    order = ("little", "big")[rng.integers(2)]
    written = (number % 256**width).to_bytes(width, order)
    place = int(rng.integers(len(content) + 1))
    return content[:place] + written + content[place + width :]


def _overwrite_the_beginning(content, rng):
    return _overwrite(content[:64], rng) + content[64:]


def _repeat(content, rng):
    start = int(rng.integers(len(content) + 1))
    return (
        content[:start] + content[start : start + 64] * int(rng.integers(2, 50)) + content[start:]
    )


def _insert_noise(content, rng):
    place = int(rng.integers(len(content) + 1))
    return content[:place] + rng.bytes(int(rng.integers(1, 100))) + content[place:]


def _zeros(content, rng):
    place, count = int(rng.integers(len(content) + 1)), int(rng.integers(1, 64))
    return content[:place] + bytes(count) + content[place + count :]


LENGTHS = (0, 1, 2, 127, 128, 255, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, -1)
DAMAGES = (
    *(_flip, _flip, _flip, _delete, _truncate, _overwrite, _overwrite, _overwrite_the_beginning),
    *(_repeat, _insert_noise, _zeros),
)


DEEP = {
    f'"deep {kind} {depth}"': begin * depth + "1" + end * depth
    for depth in (300, 100_000)
    for kind, begin, end in (("list", "[", "]"), ("object", '{"a": ', "}"))
}
"""What takes the place of a string in JSON: Python could not write it, as it nests too deeply."""

VALUES = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf),
    *(2**31, 2**63, 10**30, 10**400, "", "0", "1", "nan", "a", "..", "../../a", "/etc/passwd"),
    *("a" * 10_000, "\0", "\ud800", "\u202e\x1b[31m", "<script>", "%s{0}", "\n", "None", "True"),
    *([], {}, [[]], [{}], {"": ""}, [0] * 5000, [1, "a", None], *(json.loads(key) for key in DEEP)),
)


def restructured(tree, rng):
    """JSON of a tree with one to three changes in what it holds."""
    tree = copy.deepcopy(tree)
    for _ in range(int(rng.integers(1, 4))):
        tree = _change_tree(tree, rng)
    text = json.dumps(tree)
    if rng.integers(8) == 0:  # a key that occurs twice
        text = text.replace("{", f'{{"{_key(tree, rng)}": {json.dumps(_value(rng))}, ', 1)
    for key, deep in DEEP.items():
        text = text.replace(key, deep)
    return text.encode("utf-8", "surrogatepass")


def _change_tree(tree, rng):
    groups = list(_groups(tree))
    if not groups or rng.integers(20) == 0:
        return _value(rng)
    group = groups[rng.integers(len(groups))]
    keys = list(group) if isinstance(group, dict) else list(range(len(group)))
    key = keys[rng.integers(len(keys))]
    change = rng.integers(6)
    if change == 0:
        del group[key]
    elif change == 1 and isinstance(group, dict):
        group[str(_value(rng))[:50]] = group.pop(key)
    elif change == 2 and isinstance(group, list):
        group.insert(key, group[key])
    elif change == 3:
        other = groups[rng.integers(len(groups))]
        group[key] = copy.deepcopy(other)
    else:
        group[key] = _value(rng)
    return tree


def _groups(tree):
    """All objects and lists in a tree that are not empty."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list) and each:
            yield each
            waiting += each.values() if isinstance(each, dict) else each


def _value(rng):
    return copy.deepcopy(VALUES[rng.integers(len(VALUES))])


def _key(tree, rng):
    keys = list(tree) if isinstance(tree, dict) and tree else ["a"]
    return keys[rng.integers(len(keys))].replace("\\", "").replace('"', "")
