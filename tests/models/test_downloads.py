import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from layerwise.models import downloads
from layerwise.models.downloads import Address, download, kept_hash

CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class Host:
    """A web server that can break off, ignore ranges, give a page, or publish a checksum."""

    def __init__(self, **faults):
        self.requests = []
        self.content = faults.get("content", CONTENT)
        self.stop_after = faults.get("stop_after")
        self.ranges = faults.get("ranges", True)
        self.etag = faults.get("etag")

    def answer(self, handler, body):
        start = 0
        asked = handler.headers.get("Range")
        self.requests.append((handler.command, asked))
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                handler.send_error(416)
                return
        data = self.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data)))
        if self.etag:
            handler.send_header("X-Linked-ETag", f'"{self.etag}"')
            handler.send_header("X-Repo-Commit", "0" * 40)
            handler.send_header("X-Linked-Size", str(len(data)))
        handler.end_headers()
        if body:
            handler.wfile.write(data if self.stop_after is None else data[: self.stop_after])


@contextmanager
def serving(host):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            host.answer(self, body=True)

        def do_HEAD(self):
            host.answer(self, body=False)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/net.pth"
        finally:
            running.shutdown()
            thread.join()


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_comes_whole_and_once(tmp_path):
    host = Host()
    with serving(host) as url:
        for _ in range(2):
            path = download(Address(url, "net.pth", SHA256[:8]), tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert len(host.requests) == 1
    assert visible(path.parent) == ["net.pth"]


def test_what_broke_off_is_never_used_and_is_continued(tmp_path):
    host = Host(stop_after=1_000_000)
    with serving(host) as url:
        address = Address(url, "net.pth", SHA256)
        with pytest.raises(ValueError, match="downloading failed"):
            download(address, tmp_path)
        assert visible(tmp_path) == ["net.pth.part"]
        kept = (tmp_path / "net.pth.part").stat().st_size
        assert 0 < kept <= 1_000_000
        host.stop_after = None
        assert download(address, tmp_path).read_bytes() == CONTENT
    assert host.requests[-1] == ("GET", f"bytes={kept}-")
    assert visible(tmp_path) == ["net.pth"]


def test_a_start_of_another_file_is_thrown_away(tmp_path):
    (tmp_path / "net.pth.part").write_bytes(b"start of an older version")
    with serving(Host()) as url:
        assert download(Address(url, "net.pth", SHA256), tmp_path).read_bytes() == CONTENT


def test_host_that_does_not_know_ranges(tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:500])
    with serving(Host(ranges=False)) as url:
        assert download(Address(url, "net.pth", SHA256), tmp_path).read_bytes() == CONTENT


def test_stopped_after_the_last_byte(tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT)
    with serving(Host()) as url:
        assert download(Address(url, "net.pth", SHA256), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "message"), [(b"other", "what came is not the published file"), (PAGE, "a web page came")]
)
def test_what_is_not_the_file_is_not_kept(tmp_path, content, message):
    with serving(Host(content=content)) as url, pytest.raises(ValueError, match=message):
        download(Address(url, "net.pth", SHA256[:8]), tmp_path)
    assert visible(tmp_path) == []


def test_checksum_that_the_host_publishes(tmp_path):
    with serving(Host(etag=SHA256)) as url:
        path = download(Address(url, "net.safetensors", ""), tmp_path)
    assert path.read_bytes() == CONTENT
    assert kept_hash(path) == SHA256
    assert kept_hash(tmp_path / "other") == ""


@pytest.mark.parametrize(
    ("etag", "message"), [(None, "checksum|SHA-256"), ("0" * 64, "not the published"), ("abc", "no SHA-256")]
)
def test_without_a_right_checksum_nothing_is_kept(tmp_path, etag, message):
    with serving(Host(etag=etag)) as url, pytest.raises(ValueError, match=message):
        download(Address(url, "net.safetensors", ""), tmp_path)
    assert visible(tmp_path) == []


def test_no_lock_is_left_where_nothing_was_fetched(tmp_path):
    with serving(Host(content=b"other")) as url, pytest.raises(ValueError, match="not the published"):
        download(Address(url, "net.pth", SHA256[:8]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_who_waits_while_another_fails_holds_a_lock_of_its_own(tmp_path, monkeypatch):
    inside, most, turn = [], [], threading.Barrier(3)

    def fail(address, target):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        raise ValueError("no route to host")

    def work():
        turn.wait()
        for _ in range(5):
            with pytest.raises(ValueError, match="no route"):
                download(Address("", "net.pth", SHA256), tmp_path)

    monkeypatch.setattr(downloads, "_fetch", fail)
    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == [1] * 15
    assert list(tmp_path.iterdir()) == []


FETCH = """
import sys
from pathlib import Path
from layerwise.models.downloads import Address, download

url, folder, sha256 = sys.argv[1:]
print(download(Address(url, "net.pth", sha256), Path(folder)).stat().st_size)
"""


def test_processes_at_once_all_end_right(tmp_path):
    host = Host()
    with serving(host) as url:
        command = [sys.executable, "-c", FETCH, url, str(tmp_path), SHA256]
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        printed = [worker.communicate(timeout=120)[0].strip() for worker in workers]
    assert printed == [str(len(CONTENT))] * 3
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert len(host.requests) == 1
    assert visible(tmp_path) == ["net.pth"]


def test_full_disk_is_said_as_such(tmp_path, monkeypatch):
    import pooch.downloaders

    class Full:
        def __init__(self, **_):
            pass

        def __call__(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.downloaders, "HTTPDownloader", Full)
    with pytest.raises(OSError, match="No space left"):
        download(Address("http://127.0.0.1:9/net.pth", "net.pth", SHA256), tmp_path)
    assert not (tmp_path / "net.pth").exists()


def test_folder_that_cannot_be_written(tmp_path):
    folder = Path("/proc/weights")  # not even root may make a folder there
    if os.geteuid() != 0:
        folder = tmp_path / "weights"
        folder.mkdir(mode=0o500)
    with serving(Host()) as url, pytest.raises(ValueError, match="cannot be written into"):
        download(Address(url, "net.pth", SHA256), folder)
