"""Which styles each content image is paired with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from manifests.errors import ManifestError
from manifests.facts import Facts
from manifests.hashes import first_bytes
from manifests.identity import known_by
from manifests.reading import ReadManifest
from manifests.sources import ContentImage, StyleImage, listed_pairs

StylesOf = Callable[[int], Sequence[int]]


class PairedStyles:
    """The styles of each content image, as the manifest's strategy pairs them; all by their places.

    Args:
        first_place: place of a content image -> that of an earlier one that stands for it.
        content_facts, style_facts: of the files of `content` and `styles`.

    Raises:
        ManifestError: for strategies that the images do not fit.
    """

    def __init__(
        self,
        read: ReadManifest,
        content: Sequence[ContentImage],
        content_facts: Sequence[Facts],
        first_place: Mapping[int, int],
        styles: Sequence[StyleImage],
        style_facts: Sequence[Facts],
    ) -> None:
        self._read = read
        self._content = content
        self._content_facts = content_facts
        self._first_place = first_place
        self._styles = styles
        self._style_facts = style_facts
        self._first_style = _first_of_each(
            known_by(found.sha256, style.name) for found, style in zip(style_facts, styles)
        )
        # Of copies the first.
        self.different = self._different()
        self.of = self._by_strategy()

    def _different(self) -> Sequence[int]:
        """Places of the styles that are paired; those that are named one by one may be equal."""
        places = range(len(self._styles))
        named = self._read.manifest.pairing.strategy in ("zip", "listed")
        return places if named else self._each_once(places)

    def _each_once(self, styles: Iterable[int]) -> Sequence[int]:
        """Of styles with the same bytes the first."""
        named: dict[int, int] = {}
        for style in styles:
            named.setdefault(self._first_style[style], style)
        return tuple(named.values())

    def _by_strategy(self) -> StylesOf:
        strategy = self._read.manifest.pairing.strategy
        if not self._styles:
            return lambda content: ()
        if strategy == "random":
            return self._drawn()
        if strategy == "all":
            return lambda content: self.different
        return self._zipped() if strategy == "zip" else self._listed()

    def _drawn(self) -> StylesOf:
        drawn = RandomStyles(
            [self._style_facts[style].sha256 for style in self.different],
            [self._styles[style].weight for style in self.different],
            self._read.manifest.pairing.styles_per_content,
            self._read.manifest.seed,
        )
        return lambda content: [
            self.different[style] for style in drawn.draw(self._content_facts[content].sha256)
        ]

    def _zipped(self) -> StylesOf:
        augments = self._read.manifest.augments
        places = [i for i, content in enumerate(self._content) if augments(content.split)]
        if len(places) != len(self._styles):
            message = (
                f"zip needs as many styles as content images in the augmented splits, got "
                f"{len(self._styles)} styles and {len(places)} content images"
            )
            raise ManifestError([self._read.problem(("pairing", "strategy"), message)])
        styles_of: dict[int, list[int]] = {}
        for style, content in enumerate(places):
            styles_of.setdefault(self._first_place.get(content, content), []).append(style)
        return lambda content: self._each_once(styles_of[content])

    def _listed(self) -> StylesOf:
        first = self._first_place
        content_index = {content.file: first.get(i, i) for i, content in enumerate(self._content)}
        style_index = {style.file: i for i, style in enumerate(self._styles)}
        styles_of: dict[int, list[int]] = {}
        problems = []
        for content, style in listed_pairs(self._read):
            for file, known, what in (
                (content, content_index, "content"),
                (style, style_index, "styles"),
            ):
                if file not in known:
                    message = f"{file} is not among the images of {what}"
                    problems.append(self._read.problem(("pairing", "pairs"), message))
            if content in content_index and style in style_index:
                styles_of.setdefault(content_index[content], []).append(style_index[style])
        if problems:
            raise ManifestError(problems)
        return lambda content: self._each_once(styles_of.get(content, ()))


class RandomStyles:
    """Weighted draws without replacement that hardly change when styles or content are added.

    Each (content, style) has a random number of its own, made from their hashes and the seed; a
    content image takes the styles with the largest u^(1/weight) (Efraimidis & Spirakis 2006).
    A new style so replaces an old one only where it wins.

    Args:
        style_sha256: 32 bytes per style.
        weights: > 0, per style.
        count: styles per content image, at most all of them.
    """

    def __init__(
        self, style_sha256: Sequence[bytes], weights: Sequence[float], count: int, seed: int
    ) -> None:
        self._keys = np.array([first_bytes(sha256) for sha256 in style_sha256], dtype=np.uint64)
        self._inverse_weights = 1.0 / np.array(weights, dtype=np.float64)
        self._count = min(count, len(weights))
        self._seed = _mix(np.array([seed], dtype=np.uint64))[0]

    def draw(self, content_sha256: bytes) -> list[int]:
        """Indices of the styles of one content image, best first."""
        mixed = _mix(_mix(self._keys ^ np.uint64(first_bytes(content_sha256))) ^ self._seed)
        # 53 random bits, moved off 0 so that the logarithm is finite.
        uniform = ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
        rank = np.log(uniform) * self._inverse_weights
        return [int(index) for index in np.argsort(-rank, kind="stable")[: self._count]]


def _first_of_each(sha256: Iterable[bytes]) -> list[int]:
    """For each hash the place of the first that is the same."""
    first: dict[bytes, int] = {}
    return [first.setdefault(one, place) for place, one in enumerate(sha256)]


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): every input bit moves every output bit."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
        return mixed
