"""Stores for tests: an S3 server on loopback that can be told to fail, and memory://."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "tests"
_OPTIONS = {"use_listings_cache": False}


@dataclass
class Fault:
    """What becomes of the next `times` requests of a method whose path and query match a pattern.

    Attributes:
        status: that they are answered with; 0: as usual, after `delay_s`.
        done: whether what they ask for is done all the same.
    """

    method: str
    pattern: str
    status: int = 500
    times: float = float("inf")
    delay_s: float = 0.0
    done: bool = False
    hits: int = 0

    def is_for(self, method: str, asked: str) -> bool:
        matches = method == self.method and re.search(self.pattern, asked) is not None
        return matches and self.hits < self.times


@dataclass
class Server:
    """moto's S3 behind a gate that counts requests and fails some of them.

    Attributes:
        asked: "METHOD /path?query" of each request.
        sent_bytes: bodies of the answers.
    """

    app: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))
    asked: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[Any]:
        method = environ["REQUEST_METHOD"]
        asked = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        with self._lock:
            self.asked.append(f"{method} {asked}")
            fault = next((one for one in self._faults if one.is_for(method, asked)), None)
            if fault is not None:
                fault.hits += 1
        if fault is not None:
            time.sleep(fault.delay_s)
            if fault.done:
                b"".join(self.app(environ, lambda *_: None))
            if fault.status:
                start_response(f"{fault.status} Fault", [("Content-Length", "0")])
                return [b""]
        body = b"".join(self.app(environ, start_response))
        self.sent_bytes += len(body)
        return [body]

    @contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """Requests in the block meet these faults."""
        self._faults += faults
        try:
            yield
        finally:
            for fault in faults:
                self._faults.remove(fault)

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The list, filled when the block ends, of what was asked meanwhile."""
        before, asked = len(self.asked), []
        yield asked
        asked += self.asked[before:]


class _Quiet(WSGIRequestHandler):
    def log_request(self, *arguments: Any) -> None:
        pass


@contextmanager
def s3_server(cache: Path) -> Iterator[Server]:
    """A server with the bucket BUCKET; AWS_ENDPOINT_URL and the rest name it meanwhile."""
    server = Server()
    http = make_server("127.0.0.1", 0, server, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{http.server_port}",
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": "3",
        "XDG_CACHE_HOME": str(cache),
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        fsspec.filesystem("s3", **_OPTIONS).mkdir(BUCKET)
        yield server
    http.shutdown()
    thread.join()


@dataclass(frozen=True)
class Folder:
    """A folder of a store that a test has to itself."""

    url: str

    def file(self, inside: str) -> str:
        return f"{self.url}/{inside}"

    def put(self, folder: Path, inside: str = "") -> None:
        """Have all files of a local folder in it."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.write(
                    "/".join([*filter(None, [inside]), str(file.relative_to(folder))]),
                    file.read_bytes(),
                )

    def write(self, inside: str, data: bytes) -> None:
        self._store.pipe_file(self.file(inside), data)

    def read(self, inside: str) -> bytes:
        data: bytes = self._store.cat_file(self.file(inside))
        return data

    def remove(self, inside: str) -> None:
        self._store.rm_file(self.file(inside))

    def names(self, inside: str = "") -> list[str]:
        """Paths of all files below `inside`, relative to this folder."""
        root = self._store._strip_protocol(self.url) + "/"
        return sorted(name.removeprefix(root) for name in self._store.find(root + inside))

    def files(self, inside: str = "") -> dict[str, bytes]:
        """Path, relative to `inside`, -> bytes of all files; hidden folders left out."""
        names = [name for name in self.names(inside) if "/." not in f"/{name}"]
        return {name.removeprefix(f"{inside}/"): self.read(name) for name in names}

    @property
    def _store(self) -> Any:
        return fsspec.filesystem(self.url.partition("://")[0], **_OPTIONS)


def folder_of(protocol: str) -> Folder:
    """A new one in BUCKET."""
    return Folder(f"{protocol}://{BUCKET}/{secrets.token_hex(4)}")


def s3_folder() -> Folder:
    return folder_of("s3")


def memory_folder() -> Folder:
    return Folder(f"memory://{secrets.token_hex(4)}")
