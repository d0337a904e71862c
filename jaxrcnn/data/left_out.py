"""How many images may be left out before it is likelier that the data as a whole are wrong."""

from collections.abc import Collection

from jaxrcnn.config import Config
from jaxrcnn.data.errors import REMEDY, DataError
from jaxrcnn.data.records import Dataset
from jaxrcnn.wording import counted


def check_left_out(dataset: Dataset, config: Config, unread: Collection[str] = ()) -> None:
    """See that no more images of a data set are left out than data.max_skipped_share allows.

    Args:
        dataset: open; it knows how many of its images are not in it.
        config: of the run.
        unread: a line for each image that could not be read since.

    Raises:
        DataError: there are more.
    """
    if config.data.on_error == "raise":
        return
    share = config.data.max_skipped_share
    lost = dataset.lost_images + len(unread)
    total = len(dataset) + dataset.empty + dataset.lost_images
    if lost > share * total:
        first = next(iter((*dataset.skipped, *unread)), "").removesuffix(f"; {REMEDY}")
        raise DataError(
            f"{dataset.name}: {lost} of {counted(total, 'image')} cannot be used, more than "
            f"data.max_skipped_share={share:g} allows (the first: {first}); "
            "`jaxrcnn check` lists all of them"
        )
