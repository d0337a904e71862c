"""What builds a detector with pieces of one's own, named on the command line: MODULE:FUNCTION."""

import difflib
import importlib
import inspect
import pathlib
import sys
import traceback
from typing import TYPE_CHECKING, Any

from jaxrcnn.config import ConfigError

if TYPE_CHECKING:
    from jaxrcnn.training.pieces import Build


def find_build(name: str | None, option: str = "--pieces") -> "Build":
    """The function that a name such as my_fork:build stands for; without one, `detector.build`.

    The module is imported from the working directory, or else from what is installed.

    Args:
        name: the module's name as `import` takes it, a colon, and the function's name.
        option: that was given it, for errors.

    Raises:
        ConfigError: the name is none, the module cannot be imported, or it has no such function.
    """
    if name is None:
        from jaxrcnn.detector import build

        return build
    module_name, colon, function_name = name.rpartition(":")
    if not (module_name and colon and function_name):
        raise ConfigError(
            f"{option}: got {name!r}, expected MODULE:FUNCTION, such as my_fork:build"
        )
    if module_name.endswith(".py") or "/" in module_name or "\\" in module_name:
        raise ConfigError(f"{option}: got {name!r}; {_as_module(module_name, function_name)}")
    module = _import(module_name, f"{option} {name}")
    found: Any = getattr(module, function_name, None)
    if found is None:
        nearest = difflib.get_close_matches(function_name, _functions_of(module), n=1)
        hint = "".join(f"; did you mean {module_name}:{other}?" for other in nearest)
        raise ConfigError(f"{option} {name}: {module_name} has no {function_name}{hint}")
    if not _takes_a_config(found):
        raise ConfigError(
            f"{option} {name}: got a {type(found).__name__}, expected a function with one "
            "argument, a ModelConfig, that returns a Detector"
        )
    return found


def _as_module(file: str, function: str) -> str:
    """How a file is named as a module, and where."""
    path = pathlib.Path(file.replace("\\", "/")).absolute()
    here = pathlib.Path.cwd()
    if path.is_relative_to(here):
        parts = path.relative_to(here).with_suffix("").parts
        return f"name the module, not its file: {'.'.join(parts)}:{function}"
    return (
        f"name the module, not its file: {path.stem}:{function}, with {path.parent} in PYTHONPATH"
    )


def _import(name: str, asked: str) -> Any:
    here = str(pathlib.Path.cwd())
    if here not in sys.path:  # as for `python -m`; an installed command begins elsewhere
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise ConfigError(
                f"{asked}: there is no module {missing} in {here}, nor is it installed"
            ) from None
        raise ConfigError(
            f"{asked}: {name} cannot be imported: {type(error).__name__}: {error}{_place(error)}"
        ) from error


def _place(error: BaseException) -> str:
    """The line at which the import failed, in the first file that is not of the import itself."""
    frames = traceback.extract_tb(error.__traceback__)
    machinery = (__file__, importlib.__file__)
    for frame in frames:
        if frame.filename not in machinery and not frame.filename.startswith("<frozen"):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


def _takes_a_config(found: Any) -> bool:
    """Whether it can be called with one argument."""
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        return False
    except ValueError:  # of compiled code, which has no signature
        return True
    return True


def _functions_of(module: Any) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value)]
