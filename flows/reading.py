"""The manifest of a run, read before anything is imported that takes its time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from manifests.reading import ReadManifest, read_manifest
from manifests.storage import Place, whole_place


def read_for_run(
    manifest: Path,
    out: str | Path | None = None,
    encoder: str | None = None,
    weights: Path | None = None,
) -> ReadManifest:
    """The manifest with what the command line replaces.

    Raises:
        ManifestError: with every problem found.
    """
    read = read_manifest(manifest)
    whole = read.manifest
    output, stylize = whole.output, whole.stylize
    if out is not None:
        output = output.model_copy(update={"path": str(whole_place(str(out)))})
    if encoder is not None:
        stylize = stylize.model_copy(update={"encoder": encoder, "weights": None})
    if weights is not None:
        stylize = stylize.model_copy(update={"weights": str(weights.expanduser().absolute())})
    return replace(read, manifest=whole.model_copy(update={"output": output, "stylize": stylize}))


def output_folder(read: ReadManifest) -> Place:
    """Where the dataset goes, as the manifest says: a whole path, or a URL."""
    return read.resolve(read.manifest.output.path)
