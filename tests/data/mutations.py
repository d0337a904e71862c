"""Text files as damage, haste and malice leave them."""

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
