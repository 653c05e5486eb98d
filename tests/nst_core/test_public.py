"""The public interface: documented and typed."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import nst_core

ROOT = Path(__file__).parents[2]
ROOMS = ("flows", "nst_core", "augment", "manifests")
# 3 x H x W, B x C x C, 1 x 3 x h x w; B values, B losses; of B, PairLosses.
SHAPE = re.compile(r"\b[\dBCHW]\w*'? x [\dBCHWhw]|\bB (values|losses)\b|\bB x \d")


def documented(member: Any) -> bool:
    return inspect.isfunction(member) or isinstance(member, (property, staticmethod))


def functions() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """(name, function, its docstring, for __init__ that of its class) of all that is public."""
    for name in nst_core.__all__:
        public = getattr(nst_core, name)
        if inspect.isfunction(public):
            yield name, public, public.__doc__ or ""
        elif inspect.isclass(public):
            for own, member in vars(public).items():
                method = member.fget if isinstance(member, property) else member
                method = getattr(method, "__wrapped__", method)
                method = method.__func__ if isinstance(method, staticmethod) else method
                if own == "__init__" and not is_dataclass(public) and inspect.isfunction(method):
                    yield f"{name}.{own}", method, public.__doc__ or ""
                elif inspect.isfunction(method) and (own == "__call__" or not own.startswith("_")):
                    yield f"{name}.{own}", method, method.__doc__ or ""


def classes() -> list[type]:
    return [one for name in nst_core.__all__ if inspect.isclass(one := getattr(nst_core, name))]


FUNCTIONS = list(functions())
by_name = pytest.mark.parametrize(
    ("function", "documentation"), [pytest.param(f, doc, id=name) for name, f, doc in FUNCTIONS]
)


def test_what_is_looked_at_is_what_is_public() -> None:
    names = {name for name, _, _ in FUNCTIONS}
    assert names >= {"load_encoder", "gram_matrix", "Stylizer.each", "Stylizer.__call__"}
    assert names >= {"Progress.image", "PairLosses.of_pair", "Encoder.layers", "StyleGrams.get"}


@by_name
def test_each_function_says_what_it_takes(function: Callable[..., Any], documentation: str) -> None:
    assert documentation
    for parameter in inspect.signature(function).parameters:
        if parameter != "self":
            assert re.search(rf"\b{parameter}\b", documentation), parameter


@by_name
def test_where_tensors_go_in_or_out_their_shapes_are_said(
    function: Callable[..., Any], documentation: str
) -> None:
    hints = {name: str(hint) for name, hint in function.__annotations__.items()}
    returned = hints.pop("return", "")
    for section, said in (("Args", list(hints.values())), ("Returns", [returned])):
        if any("Tensor" in hint or "PairLosses" in hint for hint in said):
            found = re.search(rf"^ *{section}:\n(.*?)(?:\n *\n|\Z)", documentation, re.M | re.S)
            assert SHAPE.search(found[1] if found else documentation), section


@by_name
def test_errors_that_it_raises_are_said(function: Callable[..., Any], documentation: str) -> None:
    for error in re.findall(r"\braise (\w+)\(", inspect.getsource(function)):
        assert error in documentation


@pytest.mark.parametrize("public", classes(), ids=lambda one: one.__name__)
def test_each_class_says_what_it_holds(public: type) -> None:
    documentation = public.__doc__ or ""
    assert documentation
    assert not documentation.startswith(f"{public.__name__}("), "made by dataclass, not by hand"
    if not is_dataclass(public):
        return
    for field in fields(public):
        if not field.name.startswith("_"):
            assert re.search(rf"\b{field.name}\b", documentation), field.name
    if any(str(field.type) == "Tensor" for field in fields(public)):
        assert SHAPE.search(documentation)


@pytest.mark.parametrize("room", ROOMS)
def test_types_are_exported_and_go_into_the_wheel(room: str) -> None:
    tomllib = pytest.importorskip("tomllib")
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert (ROOT / room / "py.typed").is_file()
    assert "py.typed" in setuptools["package-data"][room]
    packages = {str(one.parent.relative_to(ROOT)) for one in (ROOT / room).rglob("__init__.py")}
    assert {one.replace(os.sep, ".") for one in packages} <= set(setuptools["packages"])


USE = """
import torch
from nst_core import Pair, Progress, Style, Stylizer, load_encoder, resolve_preset

def watch(progress: Progress) -> None:
    image: torch.Tensor = progress.image(progress.pairs[0])
    terms: tuple[float, ...] = progress.style_term

content, style = torch.rand(1, 3, 64, 96), torch.rand(1, 3, 80, 80)
stylizer = Stylizer(load_encoder("compact"), resolve_preset("fast"))
result = stylizer(content, style, strength=[0.8], on_progress=watch)
losses: dict[str, float] = result.end.of_pair(0)
for index, done in stylizer.each([Pair(content[0], (Style(style[0]),))]):
    reason: str = done.stop_reason
Stylizer("compact", resolve_preset("fast"))  # type: ignore[arg-type]
losses = result.images  # type: ignore[assignment]
"""


def test_a_strict_checker_sees_the_types(tmp_path: Path) -> None:
    """An ignore that is not needed is an error, so what is wrong there is seen to be wrong."""
    (tmp_path / "use.py").write_text(USE)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "use.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
