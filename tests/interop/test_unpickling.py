import argparse
import copyreg
import dataclasses
import datetime
import functools
import io
import json
import os
import pathlib
import pickle
import struct
from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np
import pytest

from jaxrcnn.interop import allow_list, unpickling
from jaxrcnn.interop.tensors import Array, Storage, Tensor, Unread, WeightFileError
from jaxrcnn.interop.unpickling import Unpickler

PROTOCOL_2 = b"\x80\x02"


def load(content):
    return Unpickler(io.BytesIO(content)).load()


def refusal(content):
    with pytest.raises(WeightFileError) as error:
        load(content)
    assert "\n" not in str(error.value)
    return str(error.value)


def text(value):
    """The instruction that pushes a string."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def plain(value):
    """A tree with plain numpy arrays."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.array(lambda _: memoryview(b"")) if isinstance(value, Array) else value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_those_of_pickle(protocol):
    shared = [1, 2]
    tree = {
        "numbers": (0, 1, -1, 255, 256, 65536, -(2**31), 2**40, -(2**63), 1.5, float("inf")),
        "constants": [True, False, None, (), [], {}],
        "texts": ["", "é", "long" * 100],
        "tuples": ((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "shared": [shared, shared],
        "many": list(range(1100)),
        3: OrderedDict(a=1, b=2),
        "counter": Counter("aab"),
    }
    found = load(pickle.dumps(tree, protocol))
    assert found == tree
    assert found["shared"][0] is found["shared"][1]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_arrays_are_those_of_pickle(protocol):
    rng = np.random.default_rng(0)
    arrays = {
        kind: rng.integers(0, 2, (3, 4)).astype(kind)
        for kind in ["?", "i1", "u1", "<i2", ">i2", "<u4", ">i8", "<f2", "<f4", ">f4", "<f8"]
    }
    arrays["bytes"] = np.arange(256).astype(np.uint8)
    arrays |= {"fortran": arrays["<f4"].T, "view": arrays["<f8"][::2, 1:]}
    arrays |= {"empty": np.zeros((2, 0), np.float32), "number": np.array(3)}
    scalars = {"scalar": np.float32(1.5), "flag": np.bool_(True)}
    found = plain(load(pickle.dumps({**arrays, **scalars}, protocol)))
    assert found.keys() == arrays.keys() | scalars.keys()
    for name, values in {**arrays, **scalars}.items():
        assert (name, found[name].shape) == (name, values.shape)
        assert found[name].dtype == values.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], values)


def test_the_file_stands_behind_the_pickle_and_its_storages_are_known():
    fields = text("storage") + b"ctorch\nHalfStorage\n" + text("7") + text("cpu") + b"K\x0a"
    stream = io.BytesIO(PROTOCOL_2 + b"(" + fields + b"tQ.rest")
    unpickler = Unpickler(stream)
    storage = Storage(np.dtype(np.float16), "7", 10)
    assert unpickler.load() == storage
    assert unpickler.storages == {"7": storage}
    assert stream.read() == b"rest"


class Attack:
    """Pickled, it calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def ran(tmp_path):
    """A file that is there once an attack ran."""
    return tmp_path / "ran"


ATTACKS = {
    "os.system": (f"{os.name}.system", lambda ran: Attack(os.system, f"touch {ran}")),
    "eval": ("eval", lambda ran: Attack(eval, f"open({str(ran)!r}, 'w').close()")),
    "exec": ("exec", lambda ran: Attack(exec, f"open({str(ran)!r}, 'w').close()")),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_pickle_with_code_is_not_run(attack, protocol, ran):
    name, make = ATTACKS[attack]
    content = pickle.dumps({"epoch": 3, "args": make(ran)}, protocol)
    found = load(content)
    assert not ran.exists()
    assert found["epoch"] == 3
    assert type(found["args"]) is Unread
    assert found["args"].name.rpartition(".")[2] == name.rpartition(".")[2]
    pickle.loads(content)
    assert ran.exists()  # that is what the attack does elsewhere


class Settings:
    """An object with a state, as argparse.Namespace is."""

    def __init__(self):
        self.rate, self.me = 0.1, self


class WithKeywords:
    """An object that is made with a keyword, by NEWOBJ_EX."""

    def __new__(cls, *, size):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"size": 3}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_objects_that_are_not_needed_are_passed_by(protocol):
    objects = {
        "args": argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("/data")),
        "path": pathlib.PurePosixPath("/data/coco"),
        "set": {1, "a"},
        "frozenset": frozenset("abc"),
        "defaultdict": defaultdict(list, loss=[0.1]),
        "deque": deque([1, 2]),
        "datetime": datetime.datetime(2026, 1, 1),
        "partial": functools.partial(max, 1),
        "settings": Settings(),
        "keywords": WithKeywords(size=3),
        "function": json.dumps,
        "complex": 1j,
    }
    lists = [list(objects.values()), tuple(objects.values())]
    arrays = {
        "texts": np.array(["a"]),
        "objects": np.array([None, {}]),
        "time": np.array("2026", "M8"),
    }
    keys = {(1, 2): 1, None: 2, 2**40: 3, 1.5: 4, frozenset(): 5, "kept": 6}
    found = load(pickle.dumps({**objects, "lists": lists, "keys": keys, **arrays}, protocol))
    for name in objects:
        assert type(found[name]) is Unread, name
    assert all(type(x) is Unread for each in found["lists"] for x in each)
    assert found["keys"] == {"kept": 6}
    assert found["args"].name == "argparse.Namespace"
    for name in arrays:  # an error only where they would be used
        if not isinstance(found[name], Unread):
            with pytest.raises(WeightFileError, match=r"an array of numpy\.dtype"):
                found[name].array(None)


def test_tensors_of_other_numbers_are_passed_by():
    kind = b"ctorch\nComplexFloatStorage\n"
    unread = b"(" + text("storage") + kind + text("0") + text("cpu") + b"K\x0atQ"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + unread + b"K\x00K\x0a\x85K\x01\x85\x89}tR"
    found = load(PROTOCOL_2 + b"}" + text("x") + made + b"s.")
    assert found == {"x": Unread("torch.ComplexFloatStorage")}
    module = b"(" + text("module") + b"cmodels\nDetector\n" + text("a.py") + text("code") + b"tQ"
    assert load(PROTOCOL_2 + module + b")\x81}b.") == Unread("models.Detector")


def by_hand(ran):
    """Attacks that pickle itself would not write; each makes the file where pickle reads it."""
    command = f"touch {ran}"
    call = text(command) + b"\x85R."
    return {
        # The function by the dotted name of a harmless module.
        "dotted": b"\x80\x04" + text("shutil") + text("os.system") + b"\x93" + call,
        "dotted allowed": b"\x80\x04" + text("collections") + text("_sys.modules") + b"\x930K\x01"
        b"0cos\nsystem\n" + call,
        "getattr": PROTOCOL_2 + b"cbuiltins\ngetattr\ncos\n_exists\n0cos\nsystem\n" + call,
        "INST": PROTOCOL_2 + b"(" + text(command) + b"ios\nsystem\n.",
        "OBJ": PROTOCOL_2 + b"(cos\nsystem\n" + text(command) + b"o.",
        "EXT1": PROTOCOL_2 + b"\x82\xf0" + call,
        "text": b"cos\nsystem\n(S'" + command.encode() + b"'\ntR.",
        # In the state of an allowed object, whose attribute it would become.
        "BUILD": PROTOCOL_2 + b"ccollections\nOrderedDict\n)R}" + text("attribute") + b"cos\nsystem"
        b"\n" + text(command) + b"\x85Rsb.",
    }


HAND_MADE = tuple(by_hand(""))
REFUSED = ("INST", "OBJ", "EXT1", "text", "dotted allowed", "getattr")
"""By an instruction that no weight file has; the others come to nothing."""


@pytest.mark.parametrize("attack", HAND_MADE)
def test_sneaky_ways_to_call_are_not_run(attack, ran):
    content = by_hand(ran)[attack]
    copyreg.add_extension("os", "system", 0xF0)
    try:
        if attack in REFUSED:
            assert "which is none of a weight file's; it was not run" in refusal(content)
        else:
            assert isinstance(load(content), Unread | dict)
        assert not ran.exists()
        pickle.loads(content)
        assert ran.exists()
    finally:
        copyreg.remove_extension("os", "system", 0xF0)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x80\x04" + text("os") + text("system") + b"\x93.", "os.system"),
        (b"\x80\x04" + text("torch") + text("load") + b"\x93.", "torch.load"),
        (
            b"\x80\x04" + text("torch._utils") + text("_rebuild_tensor_v2.__globals__") + b"\x93.",
            "torch._utils._rebuild_tensor_v2.__globals__",
        ),
        (PROTOCOL_2 + b"ccopy_reg\n_reconstructor\n.", "copy_reg._reconstructor"),
        (PROTOCOL_2 + b"cnumpy\nload\n.", "numpy.load"),
        (PROTOCOL_2 + b"c__builtin__\ngetattr\n.", "__builtin__.getattr"),
        (b"\x80\x04" + text("a\nb") + text("c" * 200) + b"\x93.", "a\\nb." + "c" * 95 + "..."),
    ],
)
def test_what_is_unread_keeps_its_name_and_nothing_else(content, name):
    assert load(content) == Unread(name)
    called = load(content[:-1] + b"(K\x01]tR}" + text("state") + b"K\x01sb.")
    assert called == Unread(name)
    assert dataclasses.asdict(called) == {"name": name}


def test_an_instruction_that_is_refused_is_named():
    assert "INST os system" in refusal(PROTOCOL_2 + b"(ios\nsystem\n.")


@pytest.mark.parametrize("name", ["numpy ndarray", "torch._utils _rebuild_tensor_v2"])
def test_nothing_allowed_can_be_changed(name):
    module, attribute = name.split()
    stand_in = allow_list.GLOBALS[f"{module}.{attribute}"]
    before = dict(vars(stand_in)) if stand_in else None
    target = f"c{module}\n{attribute}\n".encode()
    for state in (b"}" + text("__name__") + b"K\x01s", b"N}" + text("__name__") + b"K\x01s\x86"):
        assert "cannot be read" in refusal(PROTOCOL_2 + target + state + b"b.")
    assert (dict(vars(stand_in)) if stand_in else None) == before


def call(function, *arguments):
    return PROTOCOL_2 + f"c{function}\n".encode() + b"(" + b"".join(arguments) + b"tR"


DTYPE = call("numpy\ndtype", text("f4"), b"K\x00K\x01")[2:]
EMPTY = call("numpy.core.multiarray\n_reconstruct", b"cnumpy\nndarray\n", b"K\x00\x85", text("b"))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (call("_codecs\nencode", text("abc"), text("rot13")), "_codecs.encode"),
        (call("_codecs\nencode", b"K\x01", text("latin1")), "_codecs.encode"),
        (call("__builtin__\nbytes", b"K\x64"), "bytes"),
        (call("collections\nCounter", b"K\x64"), "Counter"),
        (call("collections\nOrderedDict", b"]K\x01a"), "OrderedDict"),
        (call("collections\nOrderedDict", b"]K\x01", b"K\x02"), "OrderedDict"),
        (call("torch\nSize", b"K\x64"), "torch.Size"),
        (call("torch.nn.parameter\nParameter", b"N"), "torch.nn.Parameter"),
        (call("torch\nSize", b"K\x01" * 9), "call"),
        (call("numpy\ndtype", b"]"), "numpy.dtype"),
        (call("numpy\ndtype", text("f4")) + b"K\x01b", "numpy.dtype"),
        (call("numpy.core.multiarray\nscalar", b"NN"), "scalar"),
        (call("numpy.core.numeric\n_frombuffer", b"NNN", text("A")), "_frombuffer"),
        (call("numpy.core.numeric\n_frombuffer", b"NNN", text("C")), "numpy.ndarray"),
        # A list of objects in place of bytes, as an array of objects has it.
        (EMPTY + b"(K\x01K\x01\x85" + DTYPE + b"\x89]tb", "numpy.ndarray"),
        (EMPTY + b"(K\x01J\xff\xff\xff\xff\x85" + DTYPE + b"\x89" + text("") + b"tb", "ndarray"),
        (EMPTY + b"(K\x01\x88\x85" + DTYPE + b"\x89" + text("") + b"tb", "numpy.ndarray"),
        (PROTOCOL_2 + b"(" + text("module") + b"NNNtQ", "torch storage"),
        (PROTOCOL_2 + text("storage") + b"Q", "torch storage"),
        (PROTOCOL_2 + b"}K\x01a", "list"),
        (PROTOCOL_2 + b"]K\x01K\x02s", "dict"),
        (PROTOCOL_2 + b"}(K\x01u", "dict"),
        (PROTOCOL_2 + b"](K\x01\x90", "set"),
        (PROTOCOL_2 + b"P7\n", "instruction PERSID 7"),
        (PROTOCOL_2 + b"K\x012", "instruction DUP"),
        (PROTOCOL_2 + b"ctorch\nSize\n)}\x92", "call"),
    ],
)
def test_allowed_things_take_only_what_weight_files_give_them(content, part):
    assert part in refusal(content + b".")


def storage(kind="FloatStorage", key="0", size=b"K\x0a", rest=b""):
    fields = text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    return b"(" + fields + size + rest + b"tQ"


@pytest.mark.parametrize(
    "content",
    [
        storage(size=b"J\xff\xff\xff\xff"),
        storage(size=b"\x8a\x10" + b"\x7f" * 16),
        storage(rest=b"(K\x00K\x00K\x01t"),  # a view into another
        storage() + storage(size=b"K\x0b"),  # one key for two
        storage() + storage(kind="LongStorage"),
    ],
)
def test_storages_that_cannot_be_are_refused(content):
    assert "torch storage" in refusal(PROTOCOL_2 + content + b".")


def test_an_old_parameter_is_its_tensor():
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage() + b"K\x02K\x03\x85K\x01\x85tR"
    old = b"ctorch.nn.parameter\nParameter\n" + tensor + b"\x85R\x88\x89N\x87b"
    found = load(PROTOCOL_2 + old + b".")
    assert found == Tensor(Storage(np.dtype(np.float32), "0", 10), 2, (3,), (1,))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        PROTOCOL_2,
        PROTOCOL_2 + b".",
        PROTOCOL_2 + b"K\x01",
        PROTOCOL_2 + b"q\x00.",
        PROTOCOL_2 + b"h\x00.",
        PROTOCOL_2 + b"\x85.",
        PROTOCOL_2 + b"t.",
        PROTOCOL_2 + b"u.",
        PROTOCOL_2 + b"R.",
        PROTOCOL_2 + b"K\x01)R.",
        PROTOCOL_2 + b"ctorch\nSize\nK\x01R.",
        PROTOCOL_2 + b"ctorch\n",
        PROTOCOL_2 + b"c\xff\n\xff\n.",
        PROTOCOL_2 + b"X\xff\xff\xff\xffabc.",
        PROTOCOL_2 + b"X\x01\x00\x00\x00\xff.",
        PROTOCOL_2 + b"S'\\q'\n.",  # Python warns of it
        PROTOCOL_2 + b"\xff.",
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.",
        b"\x80\x04K\x01K\x02\x93.",
    ],
)
def test_a_torn_pickle_is_one_line(content):
    assert refusal(content)


def test_a_pickle_cannot_take_more_than_its_length(monkeypatch):
    # The place in the memo is not the size of the memo.
    assert load(PROTOCOL_2 + b"K\x05r\xff\xff\xff\xff.") == 5
    # A key that is hashed by recursion would overflow the stack.
    assert load(PROTOCOL_2 + b"}K\x01" + b"\x85" * 300_000 + b"K\x01s.") == {}
    deep = load(PROTOCOL_2 + b"K\x01" + b"\x85" * 300_000 + b".")
    assert type(deep) is tuple
    # A list is not copied each time that it is named.
    pairs = PROTOCOL_2 + b"](K\x01K\x02\x86eq\x00"
    again = b"ccollections\nOrderedDict\nh\x00\x85R"
    assert load(pairs + again + again + b"\x86.") == ({1: 2}, {})
    monkeypatch.setattr(unpickling, "MAX_INSTRUCTIONS", 100)
    assert load(PROTOCOL_2 + b"(" + b"N" * 96 + b"t.")
    assert "more than 100 instructions" in refusal(PROTOCOL_2 + b"(" + b"N" * 97 + b"t.")
