"""Whether dataset.json says what a run writes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manifests.exporters.columns import check_characters
from manifests.readers.shapes import shown
from manifests.schema import check_plain_name

_TYPES: Mapping[str, tuple[type, str]] = {
    "counts": (dict, "an object"),
    "images": (int, "a number"),
    "gramflow_version": (str, "text"),
    "manifest": (dict, "an object"),
    "manifest_file": (str, "text"),
    "versions": (dict, "an object"),
    "machine": (dict, "an object"),
}
_NEEDED = ("counts", "images")
_OF_MANIFEST: Mapping[str, tuple[type, str]] = {
    "name": (str, "text"),
    "max_pixels": (int, "a number"),
    "content": (list, "a list"),
    "styles": (list, "a list"),
    "output": (dict, "an object"),
}
_OF_MACHINE: Mapping[str, tuple[type, str]] = {
    "torch_threads": (int, "a number"),
    "cpu": (str, "text"),
}


def check_about(about: Any) -> dict[str, Any]:
    """The value of dataset.json.

    Raises:
        ValueError: naming what in it is none of a dataset's.
    """
    if not isinstance(about, dict):
        raise ValueError(f"expected an object, got {shown(about)}")
    check_characters(about)
    for name in _NEEDED:
        if name not in about:
            raise ValueError(f"{name}: is required")
    _check(about, _TYPES, "")
    if about.get("device") is not None:  # where nothing was stylized
        _check(about, {"device": (str, "text")}, "")
    _check(about.get("machine", {}), _OF_MACHINE, "machine.")
    _check_counts(about["counts"])
    manifest = about.get("manifest", {})
    _check(manifest, _OF_MANIFEST, "manifest.")
    for kind in ("content", "styles"):
        for entry in manifest.get(kind, ()):
            if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
                raise ValueError(f"manifest.{kind}: expected objects with path, got {shown(entry)}")
    return about


def _check(values: Mapping[str, Any], types: Mapping[str, tuple[type, str]], place: str) -> None:
    for name, (wanted, said) in types.items():
        if name in values and type(values[name]) is not wanted:
            raise ValueError(f"{place}{name}: expected {said}, got {shown(values[name])}")


def _check_counts(counts: Mapping[str, Any]) -> None:
    for name in ("split", "class"):
        if name not in counts:
            raise ValueError(f"counts.{name}: is required")
    for name, counted in counts.items():
        if not isinstance(counted, dict):
            raise ValueError(f"counts.{name}: expected an object, got {shown(counted)}")
    for split in counts["split"]:
        check_plain_name(split)
