"""split.json in a run's folder: which training images were held out, for when the run goes on."""

import json
import pathlib
import shutil
from collections.abc import Sequence

from jaxrcnn.data.errors import fault
from jaxrcnn.data.held_out import Halves
from jaxrcnn.data.records import Dataset
from jaxrcnn.opening import read_json
from jaxrcnn.wording import counted
from jaxrcnn.writing import replace_text

FILE = "split.json"
BEGUN = ("config.json", "study.json")
"""Files of which a run's or a study's folder has one."""


def write_split(
    workdir: pathlib.Path, dataset: Dataset, halves: Halves, seed: int, share: float
) -> None:
    """Write the names of the images on both sides, and what they were chosen by."""
    names = {
        side: [dataset.records[place].name for place in places]
        for side, places in halves._asdict().items()
    }
    workdir.mkdir(parents=True, exist_ok=True)
    tree = {"seed": seed, "share": share, **names}
    replace_text(workdir / FILE, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def copy_split(workdir: pathlib.Path, folder: pathlib.Path) -> None:
    """Give a folder the split.json of another, if that has one and the folder has none."""
    if (workdir / FILE).exists() and not (folder / FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(workdir / FILE, folder / FILE)


def has_split(workdir: pathlib.Path) -> bool:
    """Whether a folder has a split.json that counts: of a run or a study that has begun.

    One that a command left which failed before that may be of another config.
    """
    begun = any((workdir / name).exists() for name in BEGUN)
    return begun and (workdir / FILE).exists()


def read_split(
    workdir: pathlib.Path, dataset: Dataset, without_missing: bool = False
) -> tuple[Halves, list[str]]:
    """The sides of a data set's images as split.json says, and a line for images that it lacks.

    Args:
        workdir: the folder with the file.
        dataset: all images.
        without_missing: go on with the others where images that the file names are gone.

    Raises:
        DataError: the file is unusable, or images that it names are gone.
    """
    file = str(workdir / FILE)
    try:
        tree = read_json(workdir / FILE)
        train, val = _names(tree, "train"), _names(tree, "val")
    except (OSError, ValueError) as error:
        remedy = "start a new run in another --workdir"
        raise fault(file, "the images held out", f"it cannot be read ({error})", remedy) from error
    names = list(dataset.columns.names)
    gone = sorted((train | val) - set(names))
    if gone and not without_missing:
        what = f"{_some(gone)} missing from the data set"
        remedy = (
            "bring them back, start a new run in another --workdir, or resume this one without "
            "them with --config.train.on_changed_data continue"
        )
        raise fault(file, f"image {gone[0]}", what, remedy)
    new = [name for name in names if name not in train and name not in val]
    lines = (
        [f"{_some(new)} newer than {file} left out; another --workdir includes them"] if new else []
    )
    sides = ([place for place, name in enumerate(names) if name in side] for side in (train, val))
    return Halves(*sides), lines


def _names(tree: object, side: str) -> set[str]:
    names = tree.get(side) if isinstance(tree, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"'{side}' is not a list of names")
    if not names:
        raise ValueError(f"'{side}' is empty")
    return set(names)


def _some(names: Sequence[str]) -> str:
    """How many images, and the first of them."""
    return f"{counted(len(names), 'image')} (the first: {names[0]})"
