"""Read a pickle without running what is in it.

A pickle is a program for a small stack machine, whose instructions may call anything. This machine
has the instructions that weight files need, and calls nothing but what stands in `GLOBALS`. Any
other name becomes an `Unread`, and so does what would come of calling it: a checkpoint's settings,
paths and sets are passed by, and nothing is imported or run.
"""

import pickletools
from collections.abc import Iterator
from typing import Any, BinaryIO

from jaxrcnn.interop.allow_list import GLOBALS, put
from jaxrcnn.interop.tensors import (
    ANEW,
    MAX_ELEMENTS,
    Array,
    DType,
    Storage,
    StorageType,
    Tensor,
    Unread,
    WeightFileError,
    printable,
    unfit,
)

MAX_INSTRUCTIONS = 5_000_000
"""Of one pickle; a ResNet-101 with its optimizer takes some 100 000."""

MAX_ARGUMENTS = 8

PUSH_ARGUMENT = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
CONSTANTS = {
    **{"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()},
    "EMPTY_SET": Unread("set"),
}


class Unpickler:
    """Reads one pickle.

    Args:
        file: read from where it stands to the end of the pickle. It should have its content in
            memory: a torn pickle may ask for more bytes than there are.

    Attributes:
        storages: those that the pickle names, by their keys.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.storages: dict[str, Storage] = {}
        self._file = file
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # the stacks beneath the marks
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """What the pickle holds: dicts, lists, tuples, strings, numbers, Tensors, Arrays, Unreads.

        Strings of Python 2 are read as latin1. Extra attributes of objects are left out, and so are
        entries of dicts under keys that are neither strings nor small numbers.

        Raises:
            WeightFileError: it is torn, or has an instruction that no weight file needs.
        """
        for name, argument in _instructions(self._file):
            if name == "STOP":
                break
            self._step(name, argument)
        return self._take(1)[0]

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self._outer.append(self._stack)
                self._stack = []
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._top()
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._top()
            case "BINGET" | "LONG_BINGET":
                self._push(self._recall(argument))
            case "EMPTY_LIST":
                self._push([])
            case "EMPTY_DICT":
                self._push({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._push(tuple(self._take(int(name[-1]))))
            case "TUPLE":
                self._push(tuple(self._take_to_mark()))
            case "APPEND":
                self._append(self._take(1))
            case "APPENDS":
                self._append(self._take_to_mark())
            case "SETITEM":
                self._set_items(self._take(2))
            case "SETITEMS":
                self._set_items(self._take_to_mark())
            case "GLOBAL":
                self._push(_find(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                self._push(_find(*self._take(2)))
            case "BINPERSID":
                self._push(self._storage(*self._take(1)))
            case "REDUCE" | "NEWOBJ":
                self._push(_call(*self._take(2)))
            case "NEWOBJ_EX":
                self._push(_make_unread(*self._take(3)))
            case "ADDITEMS":
                self._add(self._take_to_mark())
            case "FROZENSET":
                self._take_to_mark()
                self._push(Unread("frozenset"))
            case "BUILD":
                self._build(*self._take(1))
            case _ if name in PUSH_ARGUMENT:
                self._push(argument)
            case _ if name in CONSTANTS:
                self._push(CONSTANTS[name])
            case _:
                what = f"{name} {printable(argument)}" if isinstance(argument, str) else name
                raise WeightFileError(
                    f"holds a pickle with the instruction {what}, "
                    "which is none of a weight file's; it was not run"
                )

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _take(self, count: int) -> list[Any]:
        """Take values off the stack, the topmost last."""
        if len(self._stack) < count:
            raise _torn()
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _take_to_mark(self) -> list[Any]:
        if not self._outer:
            raise _torn()
        taken = self._stack
        self._stack = self._outer.pop()
        return taken

    def _top(self) -> Any:
        if not self._stack:
            raise _torn()
        return self._stack[-1]

    def _recall(self, place: int) -> Any:
        if place not in self._memo:
            raise _torn()
        return self._memo[place]

    def _append(self, items: list[Any]) -> None:
        match self._top():
            case list() as target:
                target.extend(items)
            case Unread():
                pass
            case _:
                raise unfit("list")

    def _add(self, items: list[Any]) -> None:
        if not isinstance(self._top(), Unread):
            raise unfit("set")

    def _set_items(self, pairs: list[Any]) -> None:
        match self._top():
            case dict() as target:
                put(target, pairs)
            case Unread():
                pass
            case _:
                raise unfit("dict")

    def _build(self, state: Any) -> None:
        """Give a numpy object its state; that of an OrderedDict or a Parameter is not needed."""
        match self._top():
            case Array() | DType() as target:
                target.build(state)
            case dict() | Tensor() | Unread():
                pass
            case _:
                raise unfit("state of an object")

    def _storage(self, persistent_id: Any) -> Storage | Unread:
        """What torch has persistent ids for, without the views that torch before 1.0 had."""
        match persistent_id:
            case ("module", Unread() as kind, *_):  # the class of a whole module, and its source
                return kind
            case ("storage", Unread() as kind, *_):  # of complex or quantised numbers
                return kind
            case ("storage", StorageType() as kind, str(key), str(), int(size), *views) if (
                0 <= size <= MAX_ELEMENTS and all(view is None for view in views)
            ):
                storage = Storage(kind.dtype, key, size)
                if self.storages.setdefault(key, storage) == storage:
                    return storage
        raise unfit("torch storage")


def _instructions(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Names and arguments, up to STOP."""
    found = pickletools.genops(file)
    for _ in range(MAX_INSTRUCTIONS):
        try:
            instruction, argument, _ = next(found)
        except (ValueError, Warning) as error:  # a warning where warnings are made errors
            raise _torn() from error
        yield instruction.name, argument
    raise WeightFileError(f"holds a pickle of more than {MAX_INSTRUCTIONS} instructions")


def _find(module: Any, name: Any) -> Any:
    """The stand-in for a global, by which it may be called; nothing is imported."""
    if not (isinstance(module, str) and isinstance(name, str)):
        raise _torn()
    path = f"{module}.{name}"
    return GLOBALS[path] if path in GLOBALS else Unread(printable(path))


def _call(function: Any, arguments: Any) -> Any:
    """Call a stand-in: of all that can be on the stack, only these are callable."""
    if not isinstance(arguments, tuple):
        raise _torn()
    for value in (function, *arguments[:MAX_ARGUMENTS]):
        if isinstance(value, Unread):  # what is made by it or of it is unread too
            return value
    if not callable(function):
        raise _torn()
    if len(arguments) > MAX_ARGUMENTS:
        raise unfit("call")
    return function(*arguments)


def _make_unread(made: Any, arguments: Any, keywords: Any) -> Unread:
    """What a class would make with keywords; those that weights are made of take none."""
    if not (
        isinstance(made, Unread) and isinstance(arguments, tuple) and isinstance(keywords, dict)
    ):
        raise unfit("call")
    return made


def _torn() -> WeightFileError:
    return WeightFileError(f"holds a torn pickle; {ANEW}")
