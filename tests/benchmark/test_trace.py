"""Profiles and sums that are small enough to do by hand."""

from types import SimpleNamespace

import pytest

from jaxrcnn.benchmark.trace import Event, busy_seconds, events_of
from jaxrcnn.training.hlo import Instruction

NESTED = {
    "a": Instruction("main", "", (), ()),
    "b": Instruction("main", "", (), ()),
    "loop": Instruction("main", "", (), ("body",)),
    "inner": Instruction("body", "", (), ("inner_body",)),
    "leaf": Instruction("inner_body", "", (), ()),
}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("a", 1, 3), ("b", 3, 4), ("a", 6, 7)], {"a": 3, "b": 1}),
        # from 2 to 4 both are at work
        ([("a", 1, 4), ("b", 2, 5)], {"a": 2, "b": 2}),
        # three at a time, two of them the same on two devices
        ([("a", 0, 3), ("a", 0, 3), ("b", 0, 3)], {"a": 2, "b": 1}),
        # the loop has what its inner one does not, and that what its leaf does not
        (
            [("loop", 0, 10), ("inner", 1, 5), ("leaf", 2, 4), ("leaf", 4, 4.5)],
            {"loop": 6, "inner": 1.5, "leaf": 2.5},
        ),
        # beside the loop, whose leaf outlives it on another thread
        ([("loop", 0, 4), ("leaf", 2, 5), ("b", 0, 4)], {"loop": 1, "leaf": 2, "b": 2}),
        ([], {}),
    ],
)
def test_no_moment_counts_twice(events, expected):
    found = busy_seconds(NESTED, [Event(*event) for event in events])
    assert {name: seconds for name, seconds in found.items() if seconds} == expected


PROGRAM = {f"jit_f(3)/{name}": instruction for name, instruction in NESTED.items()}


def event(name, start_ns, end_ns, op="", module="jit_f", number=3, **stats):
    if op:
        stats |= {"hlo_op": op, "hlo_module": module, "program_id": number}
    return SimpleNamespace(name=name, start_ns=start_ns, end_ns=end_ns, stats=list(stats.items()))


def profile_of(**planes):
    names = {"metadata": "/host:metadata", "host": "/host:CPU", "gpu": "/device:GPU:0"}
    return SimpleNamespace(
        planes=[
            SimpleNamespace(name=names[key], lines=[SimpleNamespace(events=x) for x in lines])
            for key, lines in planes.items()
        ]
    )


def test_on_a_cpu_an_instruction_ends_where_another_thread_says_so():
    first = [
        event("a", 1000, 2000, "a", _p=7),
        event("a", 5000, 6000, "a", _p=9),
        event("$f.py:3 f", 0, 9000),
        event("b", 6000, 7000, "b", module="jit_g"),
    ]
    second = [event("end: a", 3000, 3100, _c=7), event("end: b", 8000, 8100, _c=9)]
    profile = profile_of(metadata=[[]], host=[first, second])
    assert events_of(profile, PROGRAM) == [
        Event("jit_f(3)/a", 1e-6, 3.1e-6),
        Event("jit_f(3)/a", 5e-6, 6e-6),
    ]


def test_on_a_cpu_an_instruction_has_ended_where_its_result_is_used():
    """Directly, or through a tuple that takes no time."""
    names = ("first", "tuple", "second", "third")
    operands = ((), ("first",), ("tuple",), ("first",))
    program = {
        f"jit_f(3)/{name}": Instruction("main", "", tuple(f"jit_f(3)/{x}" for x in given), ())
        for name, given in zip(names, operands, strict=True)
    }
    threads = [
        event("third", 0, 500, "third"),  # of a step before
        event("first", 1000, 2000, "first", _p=7),
        event("second", 4000, 9000, "second"),
        event("third", 6000, 7000, "third"),
        event("end: first", 9100, 9200, _c=7),
    ]
    found = events_of(profile_of(metadata=[[]], host=[threads]), program)
    assert [x.end for x in found if x.name.endswith("first")] == [4e-6]


def test_on_a_gpu_a_kernel_says_which_instruction_it_is_of():
    profile = profile_of(
        host=[[event("a", 0, 1000, "a")]],  # its launch
        gpu=[
            [event("sm90_gemm_f32", 2000, 3000, "b")],
            [
                event("MemcpyD2D", 3000, 5000, "a"),
                event("MemcpyH2D", 5000, 6000),
                event("unknown", 6000, 7000, "z"),
            ],
        ],
    )
    assert events_of(profile, PROGRAM) == [
        Event("jit_f(3)/b", 2e-6, 3e-6),
        Event("jit_f(3)/a", 3e-6, 5e-6),
    ]
