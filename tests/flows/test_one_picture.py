"""`gramflow stylize`: the animation and the plot of how one picture came about."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from rich.console import Console
from torch import Tensor

from flows.curve_plot import curve_picture
from flows.loss_curves import Point
from flows.one_picture import stylize_picture
from flows.trace import Trace
from manifests.images import fit_within
from nst_core import Progress, Stylizer
from tests.flows.pictures import photo

TOTAL_COLOR, STYLE_COLOR, CONTENT_COLOR = (27, 27, 31), (213, 94, 0), (0, 114, 178)


CHOSEN: dict[str, Any] = {
    "encoder": "random",
    "weights": None,
    "preset": "fast",
    "size": 32,
    "strength": 1.0,
    "preserve_color": "no",
    "console": Console(quiet=True),
}


def stylized(folder: Path, size: int = 32, **arguments: Any) -> Path:
    """The result of a photo of 64 x 48 px in another's style."""
    photo(1, 2 * size, round(1.5 * size)).save(folder / "content.png")
    photo(2, 80, 80).save(folder / "style.png")
    files = (folder / name for name in ("content.png", "style.png", "result.png"))
    stylize_picture(*files, **(CHOSEN | {"size": size} | arguments))
    return folder / "result.png"


def frames_of(file: Path) -> list[Image.Image]:
    return [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(file))]


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.subtract(one, other, dtype=np.float64)).mean())


def test_the_trace_leads_from_the_content_to_the_result_and_rests_there(tmp_path: Path) -> None:
    trace = tmp_path / "trace.webp"
    result = Image.open(stylized(tmp_path, trace=trace))
    content = Image.open(tmp_path / "content.png").resize(result.size)
    frames = frames_of(trace)
    assert 25 <= len(frames) <= 42
    assert {frame.size for frame in frames} == {result.size}
    first, last = frames[0], frames[-1]
    assert distance(first, content) < distance(first, result) / 2
    assert distance(last, result) < distance(last, content) / 3, "but for what WebP loses"
    with Image.open(trace) as opened:
        opened.seek(len(frames) - 1)
        opened.load()
        assert opened.info["duration"] > 1000
        assert opened.info["loop"] == 0


def test_tracing_changes_no_byte_of_the_result(tmp_path: Path) -> None:
    plain = stylized(tmp_path).read_bytes()
    files = {"trace": tmp_path / "trace.webp", "curve": tmp_path / "curve.png"}
    assert stylized(tmp_path, **files, preserve_color="luminance").read_bytes() != plain
    assert stylized(tmp_path, **files).read_bytes() == plain


def test_every_nth_iteration_is_a_frame(tmp_path: Path) -> None:
    seen: list[int] = []
    trace, image = tmp_path / "trace.webp", Progress.image

    def told(progress: Progress, pair: int) -> Tensor:
        seen.extend(progress.iterations)
        return image(progress, pair)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "image", told)
        stylized(tmp_path, trace=trace, trace_every=20)
    assert seen[:3] == [1, 20, 40]
    assert all(iteration % 20 == 0 for iteration in seen[1:])
    assert len(frames_of(trace)) == len(seen) + 1


def test_a_large_picture_has_a_smaller_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.webp"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.trace._LONG_SIDE_PX", 20)
        stylized(tmp_path, trace=trace, trace_every=60)
    assert Image.open(trace).size == fit_within(32, 24, 20)


def test_a_pair_that_begins_again_is_traced_from_there() -> None:
    def look(pair: int) -> Tensor:
        return torch.full((1, 3, 8, 8), 0.5)

    trace = Trace(every=1)
    for iteration in (1, 2, 3, 1, 2):
        none = (0.0,)
        trace.hear(Progress((0,), (iteration,), 9, 8, 8, none, none, none, none, look))
    assert len(trace.frames) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"trace": "t.gif"}, r"t\.gif: expected a file ending of \.webp"),
        ({"curve": "c.svg"}, r"c\.svg: expected a file ending of \.png"),
        ({"curve": "result.png"}, "expected another file for each of result, trace and curve"),
        ({"trace_every": 3}, "trace-every: expected --trace FILE too"),
        ({"trace": "t.webp", "trace_every": 0}, "trace-every: expected a whole number >= 1"),
        (
            {"trace": "t.webp", "trace_every": 1, "preset": "report2019"},
            "trace-every: expected at least 7, so that 2000 iterations are at most 300 frames",
        ),
    ],
)
def test_what_cannot_be_traced_is_refused_before_anything_is_written(
    arguments: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    named = {
        key: tmp_path / one if isinstance(one, str) and "." in one else one
        for key, one in arguments.items()
    }
    with pytest.raises(ValueError, match=expected):
        stylized(tmp_path, **named)
    assert {file.name for file in tmp_path.iterdir()} == {"content.png", "style.png"}


@pytest.mark.parametrize("taken", ["output", "curve"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("content.png", "is read, and would be replaced"),
        ("folder/../style.png", "is read, and would be replaced"),
        ("link.png", "is read, and would be replaced"),
        ("folder/../result.png", "expected another file for each of result, trace and curve"),
        ("folder.png", r"folder\.png: is a folder; expected a file"),
        ("style.png/new.png", r"style\.png/new\.png: Not a directory"),
        ("n" * 300 + ".png", r"nnn\.png: File name too long"),
        ("/proc/new.png", r"/proc/new\.png: /proc cannot be written to"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_optimised(
    taken: str, name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    photo(1, 64, 48).save(tmp_path / "content.png")
    photo(2, 80, 80).save(tmp_path / "style.png")
    os.link(tmp_path / "content.png", tmp_path / "link.png")
    before = {file: file.read_bytes() for file in tmp_path.glob("*.png") if file.is_file()}
    files = {"output": tmp_path / "result.png", "curve": tmp_path / "curve.png"}
    files[taken] = tmp_path / name
    if taken == "output":
        files["curve"] = tmp_path / "result.png"
    monkeypatch.setattr(Stylizer, "each", None)
    with pytest.raises((ValueError, OSError)) as caught:
        stylize_picture(tmp_path / "content.png", tmp_path / "style.png", **files, **CHOSEN)
    error = caught.value
    said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
    assert re.search(expected, said), said
    assert before == {file: file.read_bytes() for file in tmp_path.glob("*.png") if file.is_file()}


def test_the_losses_that_are_told_are_those_of_the_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plotted: list[Point] = []
    drawn = Image.new("RGB", (8, 8))
    monkeypatch.setattr(
        "flows.one_picture.curve_picture", lambda points: plotted.extend(points) or drawn
    )
    photo(1, 64, 48).save(tmp_path / "content.png")
    photo(2, 80, 80).save(tmp_path / "style.png")
    told = stylize_picture(
        *(tmp_path / name for name in ("content.png", "style.png", "result.png")),
        curve=tmp_path / "curve.png",
        **CHOSEN,
    )
    assert told == (plotted[0].total, plotted[-1].total)


def colored(picture: Image.Image, color: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """x and y of the pixels below the legend that have this colour, N x 2."""
    near = np.abs(np.subtract(picture, color, dtype=np.int64)).max(axis=2) < 12
    ys, xs = np.nonzero(near[100:])
    return np.stack([xs, ys + 100], axis=1)


def test_the_curve_is_drawn_on_a_logarithmic_axis(tmp_path: Path) -> None:
    """Losses that fall by the same factor from step to step lie on a straight line."""
    points = [Point(i, 0.0, 2.0**-i, 0.0, 10 * 2.0**-i, 64) for i in range(1, 11)]
    picture = curve_picture(points)
    assert picture.size == (960, 540)
    assert not len(colored(picture, CONTENT_COLOR)), "a loss of 0 has no line"
    for color in (TOTAL_COLOR, STYLE_COLOR):
        xs, ys = colored(picture, color).T
        slope, start = np.polyfit(xs, ys, 1)
        assert slope > 0.2
        assert np.abs(start + slope * xs - ys).max() < 5
        assert (xs.min(), xs.max()) == pytest.approx((84, 932), abs=4)
    lower, higher = (colored(picture, one)[:, 1].mean() for one in (STYLE_COLOR, TOTAL_COLOR))
    assert lower > higher + 50


def test_a_line_does_not_cross_from_scale_to_scale() -> None:
    points = [
        Point(i, 0.0, 0.0, 0.0, 1.0 if i < 6 else 100.0, 64 if i < 6 else 128) for i in range(1, 11)
    ]
    _, ys = colored(curve_picture(points), TOTAL_COLOR).T
    middle = (ys.min() + ys.max()) / 2
    assert not ((ys > middle - 40) & (ys < middle + 40)).any()


@pytest.mark.parametrize("losses", [[0.0], [0.0, 0.0], [3.0], [1e-12, 1e12], [1e-300, 1e300]])
def test_odd_losses_make_a_picture(losses: list[float]) -> None:
    points = [Point(i, 0.0, loss, 0.0, loss, 64) for i, loss in enumerate(losses, start=1)]
    assert curve_picture(points).size == (960, 540)


def test_the_command_writes_picture_trace_and_curve(tmp_path: Path) -> None:
    from tests.flows.processes import finished

    stylized(tmp_path)
    names = ("content.png", "style.png", "again.png", "trace.webp", "curve.png")
    content, style, again, trace, curve = (tmp_path / name for name in names)
    status, output = finished(
        *("stylize", content, style, "-o", again, "--encoder", "random", "--size", "32"),
        *("--trace", trace, "--trace-every", "30", "--curve", curve),
    )
    assert status == 0, output
    assert f"{trace}: how it came about\n{curve}: its losses\n" in output
    assert again.read_bytes() == (tmp_path / "result.png").read_bytes()
    assert len(frames_of(trace)) <= 8
    assert Image.open(curve).size == (960, 540)
