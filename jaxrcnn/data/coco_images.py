"""The image files of COCO's format, under the names that tools write."""

import os
from collections import Counter

from jaxrcnn.data.coco_annotations import Entry
from jaxrcnn.data.coco_tables import Split
from jaxrcnn.data.headers import Headers
from jaxrcnn.data.image_files import ImageFile, check_size, first_file, look_at
from jaxrcnn.data.image_index import FoundImage, ImageIndex
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.splits import role_of
from jaxrcnn.data.values import string, whole_number


def look_at_images(
    root: str, split: Split, max_pixels: int, inside: Inside
) -> list[ImageFile | ValueError]:
    """Find the file of each image and compare its size; a ValueError names the fault.

    A file is below the folder of its split or below the root. Without the folders in its own name
    it is only looked for where no other image of the split has that name: in those folders, then
    anywhere below the root but in folders of other splits.
    """
    index = ImageIndex(root)
    names = [image.get("file_name") for image in split.images]
    counts = Counter(_base(name) for name in names if isinstance(name, str))

    headers = Headers([root, split.folder, *map(str, names)], len(names))

    def look(place: int) -> ImageFile:
        image = split.images[place]
        name = string(image.get("file_name"), "file_name")
        places = [
            os.path.join(split.folder, name),
            os.path.join(split.folder, _slashed(name)),
            os.path.join(root, _slashed(name)),
            *(os.path.join(folder, _slashed(name)) for folder in split.more),
        ]
        is_only = counts[_base(name)] == 1
        folders = (split.folder, *split.more)
        alone = [os.path.join(folder, _base(name)) for folder in folders] if is_only else []
        try:
            path = first_file([*places, *alone])
            found = FoundImage(path, renamed=path not in places)
        except ValueError:
            elsewhere = _elsewhere(index, split, name, is_only)
            if elsewhere is None:
                raise
            found = elsewhere
        inside.check(found.path)
        height, width = _side(image, "height"), _side(image, "width")
        header = headers.read(place, found.path, max_pixels)
        file = check_size(found.path, height, width, max_pixels, header)
        return file._replace(renamed=found.renamed)

    files = look_at(range(len(names)), look)
    headers.keep()
    return files


def _elsewhere(index: ImageIndex, split: Split, name: str, anywhere: bool) -> FoundImage | None:
    """The file with a name whose ending is in other letters or, anywhere, in another folder.

    None where there is none, or where it is in the folder of another split.
    """
    try:
        found = index.find(name, [split.folder, index.root, *split.more])
    except ValueError:
        return None
    folders = os.path.relpath(found.path, index.root).split(os.sep)[:-1]
    roles = {role_of(folder) for folder in folders} - {""}
    others = roles - {role_of(split.name)} if role_of(split.name) else set()
    return None if others or (found.renamed and not anywhere) else found


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
