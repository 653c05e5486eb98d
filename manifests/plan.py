"""The plan: content x style x variant, expanded lazily into content-addressed items."""

from __future__ import annotations

import random
import re
import sys
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, Literal

from manifests.errors import ManifestError
from manifests.facts import Facts, FactsCache
from manifests.hashes import first_bytes, repeated
from manifests.identity import (
    canonical_json,
    digest,
    known_by,
    pair_id,
    seed_of,
    short_id,
    source_id,
    variant_id,
)
from manifests.images import fit_within
from manifests.labels import Object
from manifests.lineage import LineageError, Relative, check_lineage
from manifests.pairing import PairedStyles
from manifests.reading import ReadManifest
from manifests.schema import Manifest
from manifests.sources import ContentImage, ListedContent, StyleImage, list_styles

Kind = Literal["original", "augmented", "stylized", "stylized_augmented"]

MAX_VARIANTS_PER_BASE = 256
_NOT_READ = Facts(b"", 0, 0)
_EXTENSIONS = {"jpeg": "jpg", "png": "png", "webp": "webp"}


@dataclass(frozen=True, slots=True)
class Engine:
    """What of the engine makes results differ, and so is part of every pair's id.

    Attributes:
        parameters: the resolved preset, plain values.
        size: long side of the output in pixels.
    """

    encoder: str
    encoder_sha256: str
    preset: str
    parameters: Mapping[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One file that comes out: its base as it is (`recipe` None), or varied by a recipe.

    Attributes:
        mask_file: of its semantic mask, empty where the content has none; both are made together.
    """

    id: str
    recipe: str | None
    index: int
    file: str
    mask_file: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """One image that variants are made of: a content image, or a (content, style) pair.

    Attributes:
        id: the pair's id, or that of the content image at the output size.
        style: None for a content image without style.
        strength: of the style, in 0..1; 0 without style.
        width, height: at the output size; 0 where the content's header is unusable.
        mask_sha256: of the semantic mask, empty where there is none.
    """

    id: str
    content: ContentImage
    content_sha256: bytes
    style: StyleImage | None
    style_sha256: bytes
    strength: float
    width: int
    height: int
    variants: tuple[Variant, ...]
    mask_sha256: bytes = b""

    @property
    def source_id(self) -> str:
        """That of the content image it descends from."""
        return source_id(self.content_sha256)

    def kind(self, variant: Variant) -> Kind:
        """What a file of it is: as it was or stylized, augmented or not."""
        if self.style is None:
            return "original" if variant.recipe is None else "augmented"
        return "stylized" if variant.recipe is None else "stylized_augmented"


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the variants of one content image have in common, made once for all of them.

    Attributes:
        output, varied_output: canonical JSON for the ids of those without and with a recipe.
        start: of their files' paths, folders included.
    """

    output: str
    varied_output: str
    start: str
    extension: str
    masked: bool

    def variant(self, id_: str, recipe: str | None, index: int, kind: Kind) -> Variant:
        file = f"{self.start}-{kind}-{short_id(id_)}.{self.extension}"
        return Variant(id_, recipe, index, file, _mask_file(file) if self.masked else "")


class Plan:
    """All items of a job; made once its files are hashed, expanded on each walk.

    Args:
        read: the manifest, from `read_manifest`.
        content: of the manifest, from `list_content`.
        engine: what stylizes, as it is part of every pair's id.
        facts: hashes and sizes of files, kept from run to run.
        on_file: called after each hashed file, for a progress display.
        among: places of the content images to plan for, the others are not read; None for all.

    Raises:
        ManifestError: for styles without images, strategies that the images do not fit, images
            or groups that are in more than one split.
    """

    def __init__(
        self,
        read: ReadManifest,
        content: ListedContent,
        engine: Engine,
        facts: FactsCache,
        on_file: Callable[[], None] = lambda: None,
        among: Collection[int] | None = None,
    ) -> None:
        self.read = read
        self.manifest = read.manifest
        self.engine = engine
        self.content = content.images
        self.categories = content.categories
        self.styles = list_styles(read)
        self._places = range(len(self.content)) if among is None else sorted(among)
        self._only: Set[str] | None = None
        self._content_facts = [_NOT_READ] * len(self.content)
        read_now = facts.of_files((self.content[i].file for i in self._places), on_file)
        for index, found in zip(self._places, read_now):
            self._content_facts[index] = found
        self._check_lineage()
        style_facts = list(facts.of_files((s.file for s in self.styles), on_file))
        self._style_sha256 = [
            known_by(found.sha256, style.name) for found, style in zip(style_facts, self.styles)
        ]
        planned = [self.content[index] for index in self._places]
        self._mask_sha256 = _mask_sha256(planned, facts, on_file)
        self._labels_ids = [""] * len(self.content)
        for index, one in zip(self._places, planned):
            self._labels_ids[index] = _labels_id(one, self._mask_sha256.get(one.file))
        self._first_place = self._twins()
        self._paired = PairedStyles(
            read, self.content, self._content_facts, self._first_place, self.styles, style_facts
        )
        self._parameters = stylize_parameters(self.manifest, engine)
        self._canonical_parameters: dict[float, str] = {}
        self._canonical_recipes = {
            name: canonical_json([name, steps])
            for name, steps in self.manifest.augment.recipes.items()
        }

    def bases(self) -> Iterator[Base]:
        """Every base with its variants, in the order of the content images.

        A base with more than MAX_VARIANTS_PER_BASE variants comes in several parts.
        """
        return self._every_base() if self._only is None else self._bases_with(self._only)

    @property
    def copies(self) -> int:
        """Content and style images that are left out: of others, of the same bytes, comes the same.

        Content has to have its name, class, labels and split in common, too.
        """
        return len(self._first_place) + len(self.styles) - len(self._paired.different)

    def only(self, variant_ids: Set[str]) -> Plan:
        """This plan, of which nothing but these variants is to be made."""
        narrowed = copy(self)
        narrowed._only = variant_ids
        return narrowed

    def _bases_with(self, variant_ids: Set[str]) -> Iterator[Base]:
        for base in self._every_base():
            kept = tuple(variant for variant in base.variants if variant.id in variant_ids)
            if kept:
                yield replace(base, variants=kept)

    def _every_base(self) -> Iterator[Base]:
        for index in self._places:
            if index in self._first_place:
                continue
            content, facts = self.content[index], self._content_facts[index]
            width, height = self._size(facts)
            shared = self._shared(content, self._labels_ids[index])
            content_sha256 = known_by(facts.sha256, content.name)
            for base_id, style, strength in self._bases_of(index, content, content_sha256):
                variants = self._variants(base_id, content, shared, styled=style is not None)
                while part := tuple(islice(variants, MAX_VARIANTS_PER_BASE)):
                    yield Base(
                        id=base_id,
                        content=content,
                        content_sha256=content_sha256,
                        style=None if style is None else self.styles[style],
                        style_sha256=b"" if style is None else self._style_sha256[style],
                        strength=strength,
                        width=width,
                        height=height,
                        variants=part,
                        mask_sha256=self._mask_sha256.get(content.file, b""),
                    )

    def folders(self) -> set[str]:
        """The folders, below that of the output, that its images and masks go to."""
        folders: set[str] = set()
        for content in self.content:
            inside = content.labels.class_name or ""
            folders.add(f"{content.split}/{inside}")
            if content.labels.semantic_mask:
                folders.add(f"{content.split}/masks/{inside}")
        return folders

    def augmented_sizes(self) -> set[tuple[int, int]]:
        """(width, height) at the output size of the images that get variants and are readable."""
        augmented = (i for i in self._places if self.manifest.augments(self.content[i].split))
        return {self._size(self._content_facts[i]) for i in augmented} - {(0, 0)}

    def _size(self, facts: Facts) -> tuple[int, int]:
        """(width, height) at the output size; (0, 0) where the header is unusable."""
        if not facts.width:
            return 0, 0
        return fit_within(facts.width, facts.height, self.engine.size)

    def _check_lineage(self) -> None:
        def relatives_of(split: str) -> Iterator[Relative]:
            for index in self._places:
                content, facts = self.content[index], self._content_facts[index]
                if content.split == split:
                    yield Relative(facts.sha256.hex(), content.group, content.name)

        try:
            check_lineage({content.split for content in self.content}, relatives_of)
        except LineageError as error:
            lines = str(error).splitlines()
            problems = [self.read.problem(("content",), line) for line in lines]
            raise ManifestError(problems) from None

    def _twins(self) -> dict[int, int]:
        """Place of a content image -> that of an earlier one of which the same files are made."""
        sha256 = [facts.sha256 for facts in self._content_facts]
        several = repeated(sha256[index] for index in self._places if sha256[index])
        first: dict[tuple[bytes, str, str], int] = {}
        twins = {}
        for index in self._places if several else ():
            if sha256[index] and first_bytes(sha256[index]) in several:
                shared = self._shared(self.content[index], self._labels_ids[index])
                made = sha256[index], shared.output, shared.varied_output
                if first.setdefault(made, index) != index:
                    twins[index] = first[made]
        return twins

    def _bases_of(
        self, index: int, content: ContentImage, content_sha256: bytes
    ) -> Iterator[tuple[str, int | None, float]]:
        original = digest("content", content_sha256.hex(), self.engine.size)
        if not self.manifest.augments(content.split):
            yield original, None, 0.0
            return
        yield original, None, 0.0
        for style in self._paired.of(index):
            style_sha256 = self._style_sha256[style]
            strength = self._strength(content_sha256, style_sha256)
            if strength not in self._canonical_parameters:
                parameters = canonical_json(self._parameters | {"strength": strength})
                self._canonical_parameters[strength] = parameters
            pair = pair_id(
                content_sha256,
                style_sha256,
                self._canonical_parameters[strength],
                self.engine.encoder_sha256,
                self.manifest.seed,
            )
            yield pair, style, strength

    def _strength(self, content_sha256: bytes, style_sha256: bytes) -> float:
        low, high = self.manifest.stylize.strength
        if low == high:
            return round(low, 3)
        seed = seed_of(self.manifest.seed, "strength", content_sha256.hex(), style_sha256.hex())
        return round(random.Random(seed).uniform(low, high), 3)

    def _variants(
        self, base_id: str, content: ContentImage, shared: _Shared, styled: bool
    ) -> Iterator[Variant]:
        augment, seed = self.manifest.augment, self.manifest.seed
        if styled or augment.include_original or not self.manifest.augments(content.split):
            plain = variant_id(base_id, "null", 0, None, shared.output)
            yield shared.variant(plain, None, 0, "stylized" if styled else "original")
        if not self.manifest.augments(content.split):
            return
        count = augment.variants.stylized if styled else augment.variants.original
        kind: Kind = "stylized_augmented" if styled else "augmented"
        for name, recipe in self._canonical_recipes.items():
            for number in range(count):
                varied = variant_id(base_id, recipe, number, seed, shared.varied_output)
                yield shared.variant(varied, name, number, kind)

    def _shared(self, content: ContentImage, labels_id: str) -> _Shared:
        augment, image = self.manifest.augment, self.manifest.output.image
        where = [content.split, content.labels.class_name, content.inside]
        output: list[Any] = [image.type, image.quality, *where]
        if labels_id or content.group:
            output += [labels_id, content.group]
        varied = output
        if labels_id:
            varied = [*output, augment.min_visibility, augment.min_area, *self._mirrors(content)]
        folders = [content.split, content.labels.class_name]
        return _Shared(
            canonical_json(output),
            canonical_json(varied),
            "/".join([f for f in folders if f] + [_stem(content.file)]),
            _EXTENSIONS[image.type],
            bool(content.labels.semantic_mask),
        )

    def _mirrors(self, content: ContentImage) -> Iterator[Any]:
        """What the keypoints of an image become in a mirror; nothing where it has none."""
        posed = {one.category for one in content.labels.objects if one.keypoints}
        for category in self.categories:
            if category.name in posed:
                yield [category.name, category.flip_idx]


def stylize_parameters(manifest: Manifest, engine: Engine) -> dict[str, Any]:
    """All resolved stylize parameters, as in the id of a pair, but for its strength."""
    parameters = dict(engine.parameters) | {
        "size": "original" if manifest.stylize.size == "original" else engine.size,
        "preserve_color": manifest.stylize.preserve_color,
    }
    if manifest.fidelity.min:
        parameters["fidelity"] = manifest.fidelity.model_dump()
    return parameters


def _mask_sha256(
    content: Sequence[ContentImage], facts: FactsCache, on_file: Callable[[], None]
) -> dict[str, bytes]:
    """Content file -> hash of its semantic mask, of those that have one."""
    masked = [one for one in content if one.labels.semantic_mask]
    of_masks = facts.of_files((one.labels.semantic_mask for one in masked), on_file)
    return {one.file: mask.sha256 for one, mask in zip(masked, of_masks)}


def _labels_id(content: ContentImage, mask_sha256: bytes | None) -> str:
    """Id of the objects and the semantic mask; empty where there are none."""
    labels = content.labels
    if not labels.objects and mask_sha256 is None:
        return ""
    mask = None if mask_sha256 is None else mask_sha256.hex()
    size = [labels.width, labels.height]
    return digest("labels", size, [_plain(one) for one in labels.objects], mask)


def _mask_file(file: str) -> str:
    """Inside the split's folder, beside its metadata: `datasets` looks for images nowhere else."""
    split, _, inside = file.partition("/")
    return f"{split}/masks/{inside.rpartition('.')[0]}.png"


def _plain(one: Object) -> list[Any]:
    """An object as plain values; numbers as their bytes, which is quick for many polygons."""
    numbers = array("d", chain(one.box, *one.polygons, *one.keypoints))
    if sys.byteorder == "big":
        numbers.byteswap()
    lengths = [len(polygon) for polygon in one.polygons]
    rle = None if one.rle is None else [one.rle.height, one.rle.width, one.rle.counts]
    return [one.category, numbers.tobytes().hex(), lengths, rle, one.crowd, one.extras]


def _stem(file: str) -> str:
    """The content file's name as part of a file name: no dots, at most 80 bytes."""
    name = file.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    plain = re.sub(r"[^\w-]+", "_", name).strip("_") or "image"
    return plain.encode()[:80].decode(errors="ignore")
