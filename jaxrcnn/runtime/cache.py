"""The folder of what is kept between processes."""

import os
import pathlib


def user_cache() -> pathlib.Path:
    """$JAXRCNN_CACHE, or else this program's folder in the user's cache, which may not exist.

    Raises:
        ImportError: without platformdirs nobody says where a cache belongs.
    """
    given = os.environ.get("JAXRCNN_CACHE")
    if given:
        return pathlib.Path(given)
    import platformdirs

    return pathlib.Path(platformdirs.user_cache_dir("jaxrcnn"))
