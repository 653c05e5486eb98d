"""What a run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.wording import counted


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        made, failed: images of this run.
        left_out: images of the dataset's plan whose pair kept too little of its content.
        dataset: images of the dataset as it now is.
        failures: (path of the file at fault, why, images missing), of the whole dataset.
        left: images of the plan that are still to be made, after a stop or a limit.
        out_of_time: whether that is because the run's hours are over.
        set_aside: files that the plan no longer wants, moved out of the dataset.
        exports: a line for each further format: where, images, objects, what was substituted.
        report: the page that shows the dataset; empty where it has no images, or after a stop.
        copies: content and style images left out, for they have the bytes of others.
        counts: {"split", "kind", "class", "style"} -> value -> images of the dataset; empty where
            the run wrote no indexes.
    """

    out: str
    made: int
    failed: int
    left_out: int
    dataset: int
    failures: tuple[tuple[str, str, int], ...]
    left: int
    stopped: bool
    set_aside: int
    exports: tuple[str, ...]
    out_of_time: bool
    report: str
    copies: int = 0
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        made = f"{counted(self.made, 'image')} made, {self.failed:,} failed"
        if self.stopped:
            return f"stopped: {made}, {self.left:,} left"
        left = f", {self.left:,} left" if self.left else ""
        return f"{made}{left}; {self.dataset:,} in {self.out}"
