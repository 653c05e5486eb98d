"""A flow for a folder without a manifest: Prefect's page shows its parameters as a form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field

from flows.dataset import ended, stylize_dataset
from flows.folder import FolderJob
from flows.summary import Summary
from manifests.storage import place


@flow(
    name="reprocess-folder",
    flow_run_name="stylize {folder} as {style}",
    persist_result=False,
)
def reprocess_folder(
    folder: str,
    style: str,
    out: str,
    preset: Literal["fast", "gatys2016", "report2019"] = "fast",
    size: Annotated[int, Field(gt=0)] | None = None,
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0,
    encoder: Literal["compact", "vgg19", "vgg16", "random"] = "compact",
    weights: Path | None = None,
    wait_s: Annotated[float, Field(ge=0)] = 0,
) -> Summary:
    """Stylize every image of a folder in every style; done again, only what is new or changed.

    Args:
        folder: Folder of content images: a whole path, or a URL.
        style: A style image or a folder of them: a whole path, or a URL.
        out: Output folder: a whole path, or a URL.
        preset: How the pixels are optimised.
        size: Long side of the results in pixels; without it, the preset's.
        strength: Of the style: 0 keeps the content's, 1 is full.
        encoder: The network whose features are compared; random is for tests.
        weights: File with the encoder's weights, with its whole path.
        wait_s: Wait so many seconds for another run that writes into the output folder.

    Returns:
        What the run came to.

    Raises:
        ValueError: a path is not whole, or not there.
        ManifestError, EncoderUnavailable, DeviceLost, OutputInUse, NoGpuSlots: as stylize_dataset.
    """
    places = {"folder": place(folder), "style": place(style), "out": place(out)}
    for name, path in (*places.items(), ("weights", weights)):
        if path is not None and not path.is_absolute():
            raise ValueError(f"{name}: expected a whole path, got {path}")
    job = FolderJob(
        **places,
        preset=preset,
        size=size,
        strength=strength,
        encoder=encoder,
        weights=weights,
    )
    with job.said_as("{}"):
        job.check()
        summary = stylize_dataset(job.write_manifest(), wait_s=wait_s)
    return ended(summary)
