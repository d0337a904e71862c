"""Programs that are small enough to write down, in Python and in protocol buffers."""

from types import SimpleNamespace

from jaxrcnn.training.hlo import Instruction, Owners, callers, op_names, read_programs


def varint(value):
    groups = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


def message(*fields):
    """Fields (number, value) as a protocol buffer; a list is of integers."""
    encoded = b""
    for number, value in fields:
        if isinstance(value, int):
            encoded += varint(number << 3) + varint(value)
            continue
        if isinstance(value, list):
            value = b"".join(map(varint, value))
        value = value.encode() if isinstance(value, str) else value
        encoded += varint(number << 3 | 2) + varint(len(value)) + value
    return encoded


def instruction(number, name, op_name="", operands=(), calls=()):
    return message(
        *[(1, name), (2, "opcode"), (35, number)],
        *([(7, message((1, "type"), (2, op_name)))] if op_name else []),
        *([(36, list(operands))] if operands else []),
        *([(38, list(calls))] if calls else []),
    )


def computation(number, name, *instructions):
    return message((1, name), *((2, x) for x in instructions), (5, number))


FAR = 5 << 32  # as large as the numbers of a real program
MODULE = message(
    (1, "jit_f"),
    (3, computation(7, "fused", instruction(FAR, "exp.1", "jit(f)/backbone/exp"))),
    (3, computation(8, "body", instruction(1, "q"), instruction(2, "out", "", [1], [7]))),
    (
        3,
        computation(
            9,
            "main",
            instruction(3, "x", "state.step"),
            instruction(4, "copy.1", "", [3]),
            instruction(5, "fusion", "", [4], [7]),
            instruction(300, "while.2", "jit(f)/propose/while", [5, 3], [8]),
            instruction(301, "tuple", "", [300]),
        ),
    ),
)
OTHER = message((3, computation(7, "main", instruction(1, "x", "jit(g)/update/mul"))))


def plane(name, **modules):
    entries = [
        message((1, 1), (2, message((2, title), (5, message((6, message((1, module))))))))
        for title, module in modules.items()
    ]
    line = message((2, "a thread"), (4, message((1, 5))))
    return message((2, name), (3, line), *((4, entry) for entry in entries))


DOUBLE = varint(9 << 3 | 1) + b"\xff" * 8  # a field of eight bytes, and one of four
FLOAT = varint(10 << 3 | 5) + b"\xff" * 4
PROFILE = DOUBLE + message(
    (1, plane("/host:CPU", **{"jit_h(1)": MODULE})),
    (1, FLOAT + plane("/host:metadata", **{"jit_f(3)": MODULE, "jit_f(4)": OTHER})),
)


def test_the_programs_of_a_profile_are_read():
    assert read_programs(PROFILE) == {
        "jit_f(3)/exp.1": Instruction("jit_f(3)/fused", "jit(f)/backbone/exp", (), ()),
        "jit_f(3)/q": Instruction("jit_f(3)/body", "", (), ()),
        "jit_f(3)/out": Instruction("jit_f(3)/body", "", ("jit_f(3)/q",), ("jit_f(3)/fused",)),
        "jit_f(3)/x": Instruction("jit_f(3)/main", "", (), ()),  # "state.step" is no scope
        "jit_f(3)/copy.1": Instruction("jit_f(3)/main", "", ("jit_f(3)/x",), ()),
        "jit_f(3)/fusion": Instruction(
            "jit_f(3)/main", "", ("jit_f(3)/copy.1",), ("jit_f(3)/fused",)
        ),
        "jit_f(3)/while.2": Instruction(
            "jit_f(3)/main",
            "jit(f)/propose/while",
            ("jit_f(3)/fusion", "jit_f(3)/x"),
            ("jit_f(3)/body",),
        ),
        "jit_f(3)/tuple": Instruction("jit_f(3)/main", "", ("jit_f(3)/while.2",), ()),
        "jit_f(4)/x": Instruction("jit_f(4)/main", "jit(g)/update/mul", (), ()),
    }


def event(module, number, name):
    statistics = {"hlo_module": module, "program_id": number, "hlo_op": name, "run_id": 1}
    return SimpleNamespace(stats=list(statistics.items()))


def owners_of(*events):
    nothing = SimpleNamespace(stats=[("step_num", 3)])
    lines = [SimpleNamespace(events=[event(*x), nothing]) for x in events]
    return Owners(SimpleNamespace(planes=[SimpleNamespace(lines=lines)]), read_programs(PROFILE))


def test_an_event_says_of_which_program_its_instruction_is():
    owners = owners_of(("jit_f", 3, "x"), ("jit_f", 3, "y"), ("jit_f", 4, "x"), ("jit_g", 3, "x"))
    names = [owners.name(dict(event(*x).stats)) for x in (("jit_f", 3, "x"), ("jit_f", 4, "x"))]
    assert names == ["jit_f(3)/x", "jit_f(4)/x"]
    for other in (("jit_f", 3, "y"), ("jit_g", 3, "x"), ("jit_f", 5, "x")):
        assert owners.name(dict(event(*other).stats)) == ""
    assert owners.name({"step_num": 3}) == ""


def test_a_program_from_the_cache_runs_under_another_number():
    owners = owners_of(("jit_f", 4, "x"), ("jit_f", 4, "fusion"), ("jit_f", 7, "x"))
    assert owners.name(dict(event("jit_f", 4, "x").stats)) == "jit_f(3)/x"  # 4 has no fusion
    assert owners.name(dict(event("jit_f", 7, "x").stats)) in ("jit_f(3)/x", "jit_f(4)/x")


def test_what_has_no_name_takes_that_of_a_relative():
    program = {
        "root": Instruction("fused", "jit(f)/a/root", (), ()),
        "copy": Instruction("main", "", ("fusion", "named"), ()),
        "fusion": Instruction("main", "", ("first",), ("fused",)),  # of what it calls
        "first": Instruction("main", "", (), ()),  # of what uses it
        "before": Instruction("main", "", (), ()),  # of what uses what uses it
        "between": Instruction("main", "", ("before",), ()),
        "both": Instruction("main", "", (), ()),
        "early": Instruction("main", "jit(f)/a/early", ("both",), ()),
        "late": Instruction("main", "jit(f)/b/late", ("both",), ()),
        "named": Instruction("main", "jit(f)/b/named", ("between",), ("body",)),
        "last": Instruction("main", "", ("other", "copy"), ()),  # of what it uses, in turn
        "other": Instruction("main", "", (), ()),
        "alone": Instruction("body", "", (), ()),  # of what calls it
        "nobody": Instruction("nowhere", "", (), ()),
    }
    assert op_names(program) == {
        **dict.fromkeys(("root", "fusion", "first", "copy", "last"), "jit(f)/a/root"),
        **dict.fromkeys(("before", "between", "named", "alone"), "jit(f)/b/named"),
        **{"early": "jit(f)/a/early", "late": "jit(f)/b/late", "both": "jit(f)/b/late"},
        **dict.fromkeys(("other", "nobody"), ""),
    }


def test_callers_are_found_through_all_that_lie_between():
    program = {
        "leaf": Instruction("inner", "", (), ()),
        "loop": Instruction("outer", "", (), ("inner", "condition")),
        "test": Instruction("condition", "", (), ()),
        "call": Instruction("main", "", (), ("outer",)),
        "again": Instruction("main", "", (), ("outer",)),
    }
    assert callers(program) == {
        "leaf": {"loop", "call", "again"},
        "loop": {"call", "again"},
        "test": {"loop", "call", "again"},
        "call": set(),
        "again": set(),
    }
