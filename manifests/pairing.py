"""Which styles each content image is paired with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from manifests.hashes import first_bytes

Indices = Sequence[int]


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


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): every input bit moves every output bit."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
        return mixed
