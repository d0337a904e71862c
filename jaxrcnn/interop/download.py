"""Published files of weights in a cache: downloaded once, resumed where it broke, checked."""

import contextlib
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.published import PublishedFile

if TYPE_CHECKING:
    import pooch
    import requests

TIMEOUT = 30.0
"""Seconds that a server may keep silent."""
CHUNK = 1 << 16
"""Bytes that are written at a time, and the most that are lost where a connection breaks."""


def cached_path(file: PublishedFile) -> pathlib.Path:
    """Where a published file lies once it is there, and may be put by hand.

    The folder is $JAXRCNN_CACHE, or else the user's cache, such as ~/.cache/jaxrcnn.
    """
    return _cache(file).abspath / file.name


def fetch(file: PublishedFile) -> pathlib.Path:
    """Download a published file, unless it is in the cache already.

    What is in the cache has been checked: the hash's digits that `file` knows, or, of a file
    without a hash, that all of it came. What came of it before a try broke off is kept, and the
    next one goes on from there. Processes that want the same file wait for the first.

    Returns:
        The file's path in the cache.

    Raises:
        ConfigError: it cannot be downloaded, is another file than was published, or the cache
            cannot be written to.
    """
    import requests

    path = cached_path(file)
    try:
        if not _is_there(path, file):
            _download(path, file)
        return path
    except requests.RequestException as error:  # a kind of OSError
        raise ConfigError(
            f"{file.url} cannot be downloaded ({_reason(error)}); "
            f"try again, or put it at {path} by hand"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be used ({error.strerror or error}); "
            "put that right, or set JAXRCNN_CACHE to another folder"
        ) from error


def _cache(file: PublishedFile) -> "pooch.Pooch":
    """The cache, as far as this file goes. pooch knows no hash of it: it compares whole ones."""
    import pooch

    return pooch.create(
        pooch.os_cache("jaxrcnn"),
        base_url="",
        env="JAXRCNN_CACHE",
        registry={file.name: None},
        urls={file.name: file.url},
    )


def _is_there(path: pathlib.Path, file: PublishedFile) -> bool:
    """Whether the file is in the cache; another one of its name is not ours to remove."""
    if not path.exists():
        return False
    difference = _difference(path, file)
    if difference:
        raise ConfigError(f"{path}: {difference}; delete it to download it again")
    return True


def _difference(path: pathlib.Path, file: PublishedFile) -> str | None:
    """What shows that this is not the file that was published, if anything does."""
    import pooch

    if not file.hash:
        return None
    algorithm, expected = file.hash.split(":")
    found = pooch.file_hash(path, algorithm)[: len(expected)]
    return f"its {algorithm} begins with {found}, not {expected}" if found != expected else None


def _download(path: pathlib.Path, file: PublishedFile) -> None:
    """Put the file into the cache, in one move when it is whole."""
    import filelock
    import pooch

    pooch.get_logger().setLevel("WARNING")  # the bar says what is being downloaded
    part = path.with_name(path.name + ".part")

    def download(url: str, output: str, _: object) -> None:
        _resume(url, part)
        difference = _difference(part, file)
        if difference:
            part.unlink()
            raise ConfigError(f"{url}: what came is removed, {difference}; try again")
        os.replace(part, output)

    cache: Any = _cache(file)  # its annotation names the downloader's arguments wrongly
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock"):
        cache.fetch(path.name, downloader=download)  # unless another process did so meanwhile


def _resume(url: str, part: pathlib.Path) -> None:
    """Download what the part lacks."""
    import requests

    with part.open("ab") as output:
        headers = {"Range": f"bytes={output.tell()}-", "Accept-Encoding": "identity"}
        with _ask(url, headers) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                return  # it lacks nothing
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                output.truncate(0)  # the server sends it from the start
                output.seek(0)
            with _progress_bar(response, output.tell()) as advance:
                for chunk in response.iter_content(CHUNK):
                    output.write(chunk)
                    advance(len(chunk))


def _ask(url: str, headers: dict[str, str]) -> "requests.Response":
    import requests

    try:
        return requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException:
        raise
    except OSError as error:  # a file of certificates that is not there
        raise requests.exceptions.SSLError(error) from error


@contextlib.contextmanager
def _progress_bar(response: "requests.Response", done: int) -> Iterator[Callable[[float], None]]:
    """A bar that counts bytes, where stdout is a terminal."""
    from rich import progress

    columns = (*progress.Progress.get_default_columns(), progress.DownloadColumn())
    with progress.Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        task = bar.add_task("download", total=total, completed=done)
        yield lambda size: bar.advance(task, size)


def _reason(error: "requests.RequestException") -> str:
    """Why a download failed, in a few words."""
    import requests

    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    cause = _first_cause(error)
    what = "the connection failed"
    if isinstance(error, requests.exceptions.SSLError):
        what = "the certificate cannot be checked; REQUESTS_CA_BUNDLE names a file of certificates"
    elif isinstance(error, requests.exceptions.ProxyError):
        what = "the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used"
    text = " ".join((getattr(cause, "strerror", None) or str(cause)).split())
    return f"{what}: {text}"


def _first_cause(error: BaseException) -> BaseException:
    """The error at the end of the chain that requests and urllib3 wrap around it."""
    inner = [getattr(error, "reason", None), *error.args[::-1], error.__cause__]
    causes = [x for x in inner if isinstance(x, BaseException)]
    return _first_cause(causes[0]) if causes else error
