"""python -m jaxrcnn compare STUDY ..."""

import argparse
import pathlib
from collections.abc import Sequence

from jaxrcnn.config import ConfigError
from jaxrcnn.study.contrast_tables import contrast_table, plot_contrasts
from jaxrcnn.study.contrasts import compare_studies
from jaxrcnn.study.measures import SCORES
from jaxrcnn.study.results import Study
from jaxrcnn.study.study_io import FILE, load_study
from jaxrcnn.study.tables import as_text


def main(arguments: argparse.Namespace) -> int:
    """Print the table; draw the plot if asked for.

    Raises:
        ConfigError: a study cannot be read, there is nothing to compare, or the plot cannot be
            written.
    """
    studies = read_studies(arguments.studies)
    name, control = read_named(arguments.control) if arguments.control else ("", None)
    rows = compare_studies(studies, arguments.measure, control)
    if not rows:
        raise ConfigError(
            f"no study has a difference in {arguments.measure} from its baseline; the measures are "
            f"{', '.join(SCORES)}, loss and the diagnostics in the study's report"
        )
    print(as_text(contrast_table(rows, arguments.measure, name)))
    if arguments.out is not None:
        try:
            plot_contrasts(rows, arguments.measure, arguments.out)
        except (OSError, ValueError) as error:  # matplotlib's, of an unknown kind of file
            raise ConfigError(f"{arguments.out} cannot be written ({error})") from error
        print(f"\nplot  {arguments.out}")
    return 0


def read_studies(words: Sequence[str]) -> list[tuple[str, Study]]:
    """Names and studies, as typed.

    Raises:
        ConfigError: one cannot be read, or two have the same name.
    """
    studies = [read_named(word) for word in words]
    names = [name for name, _ in studies]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two studies are named {twice}; rename one with NAME=STUDY")
    return studies


def read_named(word: str) -> tuple[str, Study]:
    """The name and the study of STUDY or NAME=STUDY.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    name, equals, rest = word.partition("=")
    if not equals or pathlib.Path(word).exists():
        name, rest = "", word
    path = pathlib.Path(rest)
    file = path / FILE if path.is_dir() else path
    return name or (path.resolve().name if path.is_dir() else path.stem), load_study(file)
