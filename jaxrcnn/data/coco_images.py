"""The image files of COCO's format, under the names that tools write."""

import os
from collections import Counter

from jaxrcnn.data.coco_tables import Entry, Split
from jaxrcnn.data.image_files import ImageFile, check_size, first_file, look_at
from jaxrcnn.data.values import string, whole_number


def look_at_images(root: str, split: Split, max_pixels: int) -> list[ImageFile | ValueError]:
    """Find the file of each image and compare its size; a ValueError names the fault.

    A file is below the folder of its split or below the root. Without the folders in its own name
    it is only looked for where no other image of the split has that name.
    """
    names = [image.get("file_name") for image in split.images]
    counts = Counter(_base(name) for name in names if isinstance(name, str))

    def look(image: Entry) -> ImageFile:
        name = string(image.get("file_name"), "file_name")
        places = [
            os.path.join(split.folder, name),
            os.path.join(split.folder, _slashed(name)),
            os.path.join(root, _slashed(name)),
            *(os.path.join(folder, _slashed(name)) for folder in split.more),
        ]
        alone = (split.folder, *split.more) if counts[_base(name)] == 1 else ()
        path = first_file([*places, *(os.path.join(folder, _base(name)) for folder in alone)])
        file = check_size(path, _side(image, "height"), _side(image, "width"), max_pixels)
        return file._replace(renamed=path not in places)

    return look_at(split.images, look)


def _slashed(name: str) -> str:
    """A path from Windows as others write it, without blanks around."""
    return name.replace("\\", "/").strip()


def _base(name: str) -> str:
    return os.path.basename(_slashed(name))


def _side(image: Entry, key: str) -> int | None:
    """An annotated height or width in pixels, None where there is none."""
    if image.get(key) is None:
        return None
    side = whole_number(image[key], key)
    if side < 1:
        raise ValueError(f"{key} is {side}, which is not a valid image size")
    return side
