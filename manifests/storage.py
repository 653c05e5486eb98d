"""Where files lie: a local path, or a URL of a store that fsspec knows (`s3://bucket/folder`)."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import fsspec
from fsspec.implementations.local import LocalFileSystem
from upath import UPath

if TYPE_CHECKING:
    from typing_extensions import TypeIs

# A plain Path on a local disk; a UPath in a store.
Place: TypeAlias = Path | UPath

# Of two letters at least: one is a drive of Windows.
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_LOCAL = frozenset({"file", "local"})
S3 = frozenset({"s3", "s3a"})
# With buckets; the extra that installs what it takes.
EXTRAS = {
    **dict.fromkeys(S3, "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "azure"),
}


def is_url(text: str) -> bool:
    """Whether a text is a URL, not a path."""
    return _URL.match(text) is not None


def is_in_store(path: Place) -> TypeIs[UPath]:
    """Whether a place is in a store; else it is on a disk."""
    return isinstance(path, UPath)


def place(text: str, folder: Path | None = None) -> Place:
    """The place that a text names; a relative path is one in `folder`.

    Raises:
        ValueError: for a URL of no store, or of one whose package is missing.
    """
    found = _URL.match(text)
    if found is None:
        path = Path(text).expanduser()
        return path if folder is None else folder / path
    protocol = found.group(1).lower()
    if protocol in _LOCAL:
        return Path(LocalFileSystem._strip_protocol(text))
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError:
        package = f"gramflow[{EXTRAS[protocol]}]" if protocol in EXTRAS else "its package"
        raise ValueError(
            f"{protocol}:// needs a package that is not installed; install {package}"
        ) from None
    except ValueError:
        raise ValueError(
            f"expected a path or a URL of a store (s3://, gs://, az://, memory://), got {text!r}"
        ) from None
    if not text[found.end() :].strip("/"):
        raise ValueError(f"expected a bucket and a path in it, got {text!r}")
    return UPath(f"{protocol}://{text[found.end() :].rstrip('/')}")


def whole_place(text: str) -> Place:
    """The place that a text of a command line names: a whole path without `..`, or a URL.

    Raises:
        ValueError: for `~name` of nobody; for a URL as `place` does.
    """
    try:
        found = place(text)
    except RuntimeError:
        raise ValueError(f"{text}: there is no home folder {text.split('/')[0]}") from None
    if not isinstance(found, Path):
        return found
    # `..` leads out of where a link leads to: only the system can tell where that is.
    return found.resolve() if ".." in found.parts else found.absolute()


def place_on_disk(text: str) -> Path:
    """The whole local path that a text names. Raises ValueError for a URL of a store."""
    found = whole_place(text)
    if not isinstance(found, Path):
        raise ValueError(f"expected a folder on a disk, got {text!r}")
    return found


def normal(path: Place | str) -> str:
    """An absolute path, or a URL, without `.` and `..`; one spelling a file."""
    text = str(path)
    found = _URL.match(text)
    if found is None:
        return os.path.normpath(text)
    protocol = found.group(1).lower()
    root = "/" if protocol in _LOCAL else ""
    inside = posixpath.normpath(text[found.end() :].lstrip("/"))
    return f"{protocol}://{root}{inside}"


def beside(folder: Place, path: str) -> str:
    """The file that `path` means in a table that lies in `folder`: a URL, or relative to it.

    Raises:
        ValueError: in a store, for a local path, and for one that leads out of the bucket; for a
            URL as `place` does.
    """
    if is_url(path):
        return normal(place(path))
    if isinstance(folder, Path):
        return normal(folder / path)
    file = normal(f"{folder}/{path}")
    if os.path.isabs(path) or bucket_of(file) != bucket_of(normal(folder)):
        raise ValueError(f"expected a path below {bucket_of(str(folder))}, or a URL, got {path!r}")
    return file


def relative(file: Place | str, folder: Place | str) -> str:
    """The path from `folder` to `file`, both local or both in one store."""
    return os.path.relpath(str(file), str(folder))


def local_folder(out: Place) -> Path:
    """Where what only a disk can hold lies: OUT/.gramflow; of a store, in this user's cache."""
    if isinstance(out, Path):
        return out / ".gramflow"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "gramflow" / hashlib.sha256(normal(out).encode()).hexdigest()[:16]


def bucket_of(url: str) -> str:
    """`s3://bucket` of a URL."""
    return "/".join(url.split("/", 3)[:3])
