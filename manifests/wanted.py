"""The variants of a plan, and what it calls their images, in some twenty bytes each."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from manifests.hashes import Checklist
from manifests.plan import Plan


class Wanted:
    """A checklist of the plan's variants that knows the names of their content and style.

    A photograph's folder may have been moved and a style renamed since a variant was made: rows on
    record have the names of then.
    """

    def __init__(self, plan: Plan) -> None:
        self._content_names: list[str] = []
        numbers = {"": 0}
        ids, content, styles = array("q"), array("i"), array("i")
        for base in plan.bases():
            if self._content_names[-1:] != [base.content.name]:
                self._content_names.append(base.content.name)
            name = "" if base.style is None else base.style.name
            style = numbers.setdefault(name, len(numbers))
            for variant in base.variants:
                ids.append(hash(variant.id))
                content.append(len(self._content_names) - 1)
                styles.append(style)
        self._style_names = list(numbers)
        hashes, order = np.unique(np.frombuffer(ids, np.int64), return_index=True)
        self._variants = Checklist.of_sorted(hashes)
        self._content = _in_order(content, order)
        self._styles = _in_order(styles, order)

    def __contains__(self, variant_id: str) -> bool:
        """Whether it is on the list, still."""
        return variant_id in self._variants

    def discard(self, variant_id: str) -> None:
        """Take it off, if it is on."""
        self._variants.discard(variant_id)

    def names(self, variant_id: str) -> tuple[str, str]:
        """(content, style) as the plan names them, the style empty for none.

        Raises:
            KeyError: for what is no variant of the plan.
        """
        place = self._variants.place(variant_id)
        if place is None:
            raise KeyError(variant_id)
        return self._content_names[self._content[place]], self._style_names[self._styles[place]]


def _in_order(values: array[int], order: NDArray[np.intp]) -> array[int]:
    return array("i", np.frombuffer(values, np.intc)[order].tobytes())
