import concurrent.futures
import hashlib
import http.server
import pathlib
import threading
import time

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.download import CHUNK, cached_path, fetch
from jaxrcnn.interop.published import PublishedFile

CONTENT = bytes(range(251)) * 1200  # 4.6 times CHUNK, and no two chunks alike
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT as /weights.pth, in the ways that a test asks for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = True  # does as the header Range says
        self.sends = len(CONTENT)  # bytes, then the connection breaks
        self.waits = 0.0  # seconds before the body
        self.asked: list[str] = []  # what each request's Range was

    def file(self, hash=f"sha256:{SHA256[:8]}", name="weights.pth"):
        url = f"http://127.0.0.1:{self.server_port}/{name}"
        return PublishedFile("resnet50", "V1", url, hash, "torchvision", "backbone")

    def stop(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        start = int(asked[len("bytes=") : -1]) if self.server.ranges else 0
        if self.path != "/weights.pth" or start >= len(CONTENT):
            return self.send_error(416 if start else 404)
        self.send_response(206 if self.server.ranges else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        time.sleep(self.server.waits)
        self.wfile.write(CONTENT[start : self.server.sends])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stop()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "new" / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "new" / "cache"


def complaint(file):
    with pytest.raises(ConfigError) as error:
        fetch(file)
    said = str(error.value)
    assert "\n" not in said
    return said


def visible(cache):
    """The files of the cache, but for the lock."""
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize(
    "hash",
    [f"sha256:{SHA256}", f"sha256:{SHA256[:8]}", f"md5:{hashlib.md5(CONTENT).hexdigest()[:6]}", ""],
)
def test_a_file_is_downloaded_once_and_then_taken_without_the_server(server, cache, hash):
    file = server.file(hash)
    assert fetch(file) == cached_path(file) == cache / "weights.pth"
    assert (cache / "weights.pth").read_bytes() == CONTENT
    assert visible(cache) == ["weights.pth"]
    server.stop()
    assert fetch(file) == cache / "weights.pth"
    assert server.asked == ["bytes=0-"]


def test_a_file_that_was_put_there_by_hand_is_taken(server, cache):
    cache.mkdir(parents=True)
    (cache / "weights.pth").write_bytes(CONTENT)
    assert fetch(server.file()) == cache / "weights.pth"
    assert server.asked == []


def test_another_file_of_the_name_is_left_and_named(server, cache):
    cache.mkdir(parents=True)
    (cache / "weights.pth").write_bytes(b"other")
    found = hashlib.sha256(b"other").hexdigest()[:8]
    assert complaint(server.file()) == (
        f"{cache}/weights.pth: its sha256 begins with {found}, not {SHA256[:8]}; "
        "delete it to download it again"
    )
    assert (cache / "weights.pth").read_bytes() == b"other"
    assert server.asked == []


def test_what_came_with_another_hash_is_removed(server, cache):
    file = server.file("sha256:12345678")
    said = complaint(file)
    assert said.startswith(f"{file.url}: ")
    assert f"begins with {SHA256[:8]}, not 12345678" in said
    assert visible(cache) == []


def test_a_broken_download_goes_on_where_it_broke(server, cache):
    file = server.file()
    server.sends = HALF
    said = complaint(file)
    assert f"{file.url} cannot be downloaded (the connection failed: " in said
    assert visible(cache) == ["weights.pth.part"]
    kept = (cache / "weights.pth.part").read_bytes()
    assert HALF - CHUNK < len(kept) <= HALF
    assert kept == CONTENT[: len(kept)]

    server.sends = len(CONTENT)
    assert fetch(file).read_bytes() == CONTENT
    assert server.asked == ["bytes=0-", f"bytes={len(kept)}-"]
    assert visible(cache) == ["weights.pth"]


def test_from_a_server_without_ranges_all_of_it_comes_again(server, cache):
    server.ranges = False
    server.sends = HALF
    complaint(server.file())
    server.sends = len(CONTENT)
    assert fetch(server.file()).read_bytes() == CONTENT
    assert server.asked[1] != "bytes=0-"


def test_a_part_that_lacks_nothing_is_taken(server, cache):
    cache.mkdir(parents=True)
    (cache / "weights.pth.part").write_bytes(CONTENT)
    assert fetch(server.file()).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_missing_file_and_a_missing_server_say_what_to_put_where(server, cache):
    file = server.file(name="none.pth")
    by_hand = f"try again, or put it at {cache}/none.pth by hand"
    assert complaint(file) == f"{file.url} cannot be downloaded (404 Not Found); {by_hand}"
    server.stop()
    refused = "the connection failed: Connection refused"
    assert complaint(file) == f"{file.url} cannot be downloaded ({refused}); {by_hand}"


def test_a_proxy_that_is_not_there_is_named_as_the_reason(server, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    said = complaint(server.file())
    assert "the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used: " in said
    assert "Connection refused" in said


@pytest.mark.parametrize("content", [None, "junk"])
def test_certificates_that_cannot_be_read_are_named_as_the_reason(
    server, tmp_path, monkeypatch, content
):
    bundle = tmp_path / "ca.pem"
    if content:
        bundle.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    file = server.file()
    said = complaint(file._replace(url=file.url.replace("http:", "https:")))
    assert "the certificate cannot be checked; REQUESTS_CA_BUNDLE names a file of " in said
    assert (str(bundle) in said) == (content is None)


def test_two_at_once_download_it_once(server):
    server.waits = 0.2
    with concurrent.futures.ThreadPoolExecutor() as pool:
        paths = list(pool.map(fetch, [server.file()] * 2))
    assert paths[0] == paths[1]
    assert paths[0].read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_without_the_variable_the_users_cache_is_taken(monkeypatch, server):
    monkeypatch.delenv("JAXRCNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    path = cached_path(server.file())
    assert path.name == "weights.pth"
    assert "jaxrcnn" in path.parts[-3:]


def test_a_folder_that_cannot_be_made_is_one_line(monkeypatch, server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "file"))
    said = complaint(server.file())
    assert said.startswith(f"{tmp_path}/file/weights.pth cannot be used (")
    assert said.endswith("or set JAXRCNN_CACHE to another folder")
    assert server.asked == []


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="Linux has a full device")
def test_a_full_disk_is_one_line(server, cache):
    cache.mkdir(parents=True)
    (cache / "weights.pth.part").symlink_to("/dev/full")
    assert "weights.pth cannot be used (No space left on device); " in complaint(server.file())
