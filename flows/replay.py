"""A file of a finished dataset made again, from its metadata and dataset.json alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from augment.fidelity import Scores
from augment.recipes import Recipe
from flows.engine import (
    NO_SHRINKING_PX,
    choose_device,
    choose_lanes,
    cores_each,
    output_size,
    torch_threads,
    weights_file,
)
from flows.load import FileAtFault, Loaded, Pixels, as_pixels, as_tensor, load
from flows.origins import manifest_of
from flows.ready import Ready
from flows.variation import encoded, recipes_of, varied
from flows.version import VERSION, cpu_capability, library_versions
from manifests.exporters.finished import FinishedDataset, Row
from manifests.identity import canonical_json, seed_of, source_id
from manifests.images import UnusableImage, decode_image, fit_within, image_size, read_file
from manifests.plan import Base, Variant
from manifests.readers.shapes import shown
from manifests.reading import ReadManifest
from manifests.sources import ContentImage, StyleImage, list_content, list_styles
from nst_core import Encoder, Pair, Preset, Stylizer, load_encoder, resolve_preset

_PEAK = 255.0

_COLUMNS = (
    *("variant_id", "pair_id", "file_name", "content_path", "source_id"),
    *("style_path", "style_sha256", "strength", "stylize_parameters", "precision"),
    *("encoder", "encoder_sha256", "preset", "recipe", "recipe_index", "applied_transforms"),
    *("sha256", "mask_sha256"),
)
_PARAMETERS = {one.name for one in fields(Preset)} - {"encoder"} | {"preserve_color", "strength"}
_PARAMETERS_OF_SOME = {"working_size", "fidelity"}


class CannotReplay(ValueError):
    """A file cannot be made again; the message says why and what would mend it."""


@dataclass(frozen=True)
class Replayed:
    """Attributes:
    image: bytes of the file.
    mask: those of its semantic mask, where it has one.
    applied: the transforms with what was drawn, as the metadata has them.
    """

    image: bytes
    mask: bytes | None
    applied: str


@dataclass(frozen=True)
class Origins:
    """What a finished dataset was made from, as its dataset.json says.

    Attributes:
        content, styles: by the path that metadata has of them.
        threads: of torch, for rows that do not say how many they were made with.
        stylizers: by what they depend on; filled as they are needed.
    """

    read: ReadManifest
    content: Mapping[str, ContentImage]
    styles: Mapping[str, StyleImage]
    recipes: Mapping[str, Recipe]
    device: torch.device
    threads: int
    stylizers: dict[str, Stylizer] = field(default_factory=dict)


def origins_of(dataset: FinishedDataset) -> Origins:
    """Find content, styles and recipes of a dataset again.

    Raises:
        ManifestError: for a dataset.json of an older version, and where its content or styles
            cannot be found; says which.
    """
    read = manifest_of(dataset)
    listed = list_content(read)
    device = choose_device()
    lanes = choose_lanes(device, output_size(read), cores_each(1))
    threads = dataset.about.get("machine", {}).get("torch_threads", lanes.threads)
    return Origins(
        read=read,
        content={one.name: one for one in listed.images},
        styles={one.name: one for one in list_styles(read)},
        recipes=recipes_of(read.manifest, listed.categories),
        device=device,
        threads=threads,
    )


def replay(origins: Origins, row: Row) -> Replayed:
    """Make the file of a row of metadata again.

    Raises:
        CannotReplay: its content or style is gone or has changed, the encoder is another, or its
            row does not say what a run writes there.
    """
    if "pair_id" not in row:
        raise CannotReplay("its row is of an older gramflow, which did not say all that it takes")
    if missing := [name for name in _COLUMNS if name not in row]:
        raise CannotReplay(f"its row lacks {', '.join(missing)}; `gramflow run` writes it again")
    if row["recipe"] and row["recipe"] not in origins.recipes:
        known = ", ".join(origins.recipes) or "none"
        raise CannotReplay(
            f"recipe: expected one of dataset.json's manifest ({known}), got {row['recipe']!r}"
        )
    stylizer = _stylizer(origins, row) if row["style_path"] else None
    base = _base(origins, row)
    (variant,) = base.variants
    try:
        image = load(base, stylizer, origins.read.manifest.max_pixels)
        ready = Ready.as_it_is(image) if stylizer is None else _stylized(origins, row, image)
        made = varied(ready, variant, origins.recipes)
    except (FileAtFault, ValueError) as error:
        raise CannotReplay(str(error)) from None
    files = encoded(made, origins.read.manifest.output.image)
    applied = canonical_json([list(one) for one in made.applied])
    return Replayed(files.image, files.mask, applied)


def differences(dataset: FinishedDataset, row: Row) -> list[str]:
    """What is other here than where the file of the row was made, and may make other bytes."""
    if row.get("made_with"):
        there = {"gramflow": row.get("gramflow_version"), **json.loads(row["made_with"])}
    else:
        there = _made_with_by_older(dataset.about)
    here = {"gramflow": VERSION, **library_versions(), "cpu": cpu_capability()}
    if row.get("style_path"):
        here["device"] = choose_device().type
    return [
        f"{name} {there.get(name) or 'unknown'} there, {here[name]} here"
        for name in here
        if name in there and there[name] != here[name]
    ]


def _made_with_by_older(about: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of an older gramflow do not say it, and dataset.json has it of the last run only."""
    device = {"device": about["device"].partition(":")[0]} if about.get("device") else {}
    there = {"gramflow": about.get("gramflow_version"), **about.get("versions", {})}
    return there | {"cpu": about.get("machine", {}).get("cpu")} | device


def psnr_db(one: bytes, other: bytes) -> float | None:
    """Peak signal-to-noise ratio of two image files in dB; None for other sizes; inf if equal."""
    first, second = (np.asarray(decode_image(data).image, np.float64) for data in (one, other))
    if first.shape != second.shape:
        return None
    error = float(np.mean((first - second) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(_PEAK**2 / error))


def _base(origins: Origins, row: Row) -> Base:
    """The base of a row, with its one variant; raises CannotReplay for other bytes than it had."""
    content = origins.content.get(row["content_path"])
    if content is None:
        raise CannotReplay(
            f"{row['content_path']}: is gone, or no content of the manifest any more"
        )
    data = _bytes_of(content.file, content.name)
    sha256 = hashlib.sha256(data).digest()
    if source_id(sha256) != row["source_id"]:
        raise CannotReplay(f"{content.name}: has changed since; its bytes are not those of then")
    style, style_sha256 = None, b""
    if row["style_path"]:
        style = origins.styles.get(row["style_path"])
        if style is None:
            raise CannotReplay(
                f"{row['style_path']}: is gone, or no style of the manifest any more"
            )
        style_sha256 = hashlib.sha256(_bytes_of(style.file, style.name)).digest()
        if style_sha256.hex() != row["style_sha256"]:
            raise CannotReplay(f"{style.name}: has changed since; its bytes are not those of then")
    mask = content.labels.semantic_mask
    try:
        width, height = fit_within(
            *image_size(data, origins.read.manifest.max_pixels), _long_side_px(origins, row)
        )
    except UnusableImage as error:
        raise CannotReplay(f"{content.name}: {error}") from None
    recipe = row["recipe"] or None
    return Base(
        id=row["pair_id"],
        content=content,
        content_sha256=sha256,
        style=style,
        style_sha256=style_sha256,
        strength=row["strength"],
        width=width,
        height=height,
        variants=(Variant(row["variant_id"], recipe, row["recipe_index"], row["file_name"]),),
        mask_sha256=hashlib.sha256(_bytes_of(mask, mask)).digest() if mask else b"",
    )


def _bytes_of(file: str, name: str) -> bytes:
    try:
        return read_file(file)[0]
    except UnusableImage as error:
        raise CannotReplay(f"{name}: {error}") from None


def _long_side_px(origins: Origins, row: Row) -> int:
    if not row["style_path"]:
        return output_size(origins.read)
    size = _parameters(row)["size"]
    return NO_SHRINKING_PX if size == "original" else int(size)


def _stylizer(origins: Origins, row: Row) -> Stylizer:
    """For the parameters, the encoder and the precision that the row says."""
    parameters = _parameters(row) | {"precision": row["precision"]}
    parameters.pop("strength")
    key = canonical_json([row["encoder"], row["encoder_sha256"], row["preset"], parameters])
    if key not in origins.stylizers:
        try:
            preset = _preset(row["preset"], parameters)
            encoder = _encoder(origins, row)
            origins.stylizers[key] = Stylizer(encoder, preset, origins.device)
        except ValueError as error:
            raise CannotReplay(str(error)) from None
    return origins.stylizers[key]


def _parameters(row: Row) -> dict[str, Any]:
    """The parameters that a stylized row says, by name; values are for others to judge.

    Raises:
        CannotReplay: if they are not those that a run writes: with any but these another picture
            would come out.
    """
    column, mended = "stylize_parameters", "`gramflow run` writes the row again"
    try:
        parameters = json.loads(row[column])
    except (ValueError, RecursionError) as error:
        raise CannotReplay(f"{column}: is not JSON ({error}); {mended}") from None
    if not isinstance(parameters, dict):
        raise CannotReplay(f"{column}: expected an object, got {shown(parameters)}; {mended}")
    if missing := sorted(_PARAMETERS.difference(parameters)):
        raise CannotReplay(f"{column}: lacks {', '.join(missing)}; {mended}")
    if parameters["size"] == "original" and "working_size" not in parameters:
        raise CannotReplay(f"{column}: lacks working_size beside size original; {mended}")
    if unknown := sorted(parameters.keys() - _PARAMETERS - _PARAMETERS_OF_SOME):
        raise CannotReplay(
            f"{column}: gramflow {VERSION} does not know {', '.join(map(shown, unknown))}; replay "
            "with the gramflow_version of the row"
        )
    return parameters


def _preset(name: str, parameters: Mapping[str, Any]) -> Preset:
    known = {one.name for one in fields(Preset)}
    changes = {key: value for key, value in parameters.items() if key in known}
    if changes["size"] == "original":
        changes["size"] = parameters["working_size"]
    return resolve_preset(name, changes)


def _encoder(origins: Origins, row: Row) -> Encoder:
    encoder = load_encoder(row["encoder"], weights_file(origins.read))
    if encoder.sha256 != row["encoder_sha256"]:
        raise CannotReplay(
            f"encoder {row['encoder']} has other weights here ({encoder.sha256[:12]}…) than those "
            f"it was made with ({row['encoder_sha256'][:12]}…)"
        )
    return encoder


def _stylized(origins: Origins, row: Row, image: Loaded) -> Ready:
    assert image.style is not None
    pair = Pair(
        as_tensor(image.pixels),
        (image.style,),
        strength=row["strength"],
        seed=seed_of(row["pair_id"]),
        preserve_color=_parameters(row)["preserve_color"],
    )
    made_with = json.loads(row.get("made_with") or "{}")
    with torch_threads(made_with.get("threads", origins.threads)):
        ((_, result),) = _stylizer(origins, row).each([pair])
    pixels: Pixels = as_pixels(result.image)
    unscored = Scores(1.0, (1.0,) * len(image.labels.objects))
    return Ready(image, pixels, None, unscored)
