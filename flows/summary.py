"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass


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
