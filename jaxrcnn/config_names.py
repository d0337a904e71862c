"""The configs that come with jaxrcnn, by name."""

import ast
import difflib
import pathlib

from jaxrcnn.config import ConfigError


def configs_folder() -> pathlib.Path:
    """The folder of the named configs: in an installed package or, of a checkout, beside it."""
    package = pathlib.Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def named_configs() -> dict[str, pathlib.Path]:
    """The file of every named config, by name."""
    return {path.stem: path for path in sorted(configs_folder().glob("[!_]*.py"))}


def config_path(source: str | pathlib.Path) -> pathlib.Path:
    """The file of a config.

    Args:
        source: a name, as `named_configs` has it, or a file. A word without a suffix and without a
            folder is always a name, whatever the working directory contains; a `pathlib.Path` is
            always a file.

    Raises:
        ConfigError: there is no config of that name; gives the nearest ones.
    """
    path = pathlib.Path(source)
    if isinstance(source, pathlib.Path) or source != path.name or path.suffix:
        return path
    known = named_configs()
    if source not in known:
        raise ConfigError(f"no config is named {source}; {_nearest(source, list(known))}")
    return known[source]


def config_name(path: pathlib.Path) -> str:
    """What a config is called: the name of its file or, of a config.json, that of the folder."""
    return path.absolute().parent.name if path.name == "config.json" else path.stem


def summary_of(path: pathlib.Path) -> str:
    """The first line of a config file's docstring; the file is not run."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _nearest(name: str, known: list[str]) -> str:
    """The end of a sentence about a name that is not known."""
    for file in (pathlib.Path(name), pathlib.Path(f"{name}.py")):
        if file.is_file():
            return f"for the file, write ./{file}"
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else ""
    return hint or "`jaxrcnn configs` lists all names"
