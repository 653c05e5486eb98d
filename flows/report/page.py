"""The page itself: facts and pictures put into the template."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, fields
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flows.axes import number
from flows.colours import css_colour
from flows.loss_curves import LINES
from flows.report import plots
from flows.report.curves import HEIGHT, WIDTH, Curves, curves_of
from flows.report.facts import Facts
from flows.report.outlines import Outline
from flows.report.pictures import Pictures, pictures_of
from flows.report.recorded import made_by, manifest_text, read_failures, read_left_out
from flows.wording import counted
from manifests.exporters.finished import FinishedDataset
from manifests.ledger import LedgerError
from manifests.names import extension_of
from manifests.storage import is_in_store

ROWS_A_PAGE = 12
_FAILURES_LISTED = 100
_KINDS = {
    "original": ("photograph as it is", "photographs as they are"),
    "augmented": ("variant of these", "variants of these"),
    "stylized": ("stylized", "stylized"),
    "stylized_augmented": ("variant of a stylized one", "variants of stylized ones"),
}


def render(dataset: FinishedDataset, facts: Facts, asks_stores: bool) -> str:
    """The whole page as HTML text, with everything that it needs inside."""
    pictures = pictures_of(dataset, facts, asks_stores)
    notes = list(pictures.notes)
    curves: list[Curves] = []
    try:
        curves = curves_of(dataset.out)
    except LedgerError as error:
        notes.append(f"The loss curves cannot be shown: {error}.")
    colours = {one.name: css_colour(place) for place, one in enumerate(dataset.categories)}
    css, script = (_own(name) for name in ("report.css", "report.js"))
    failures, left_out = read_failures(dataset.out), read_left_out(dataset.out)
    first = pictures.opening.card if pictures.opening else next(iter(pictures.cards.values()), None)
    # A folder may be moved with its report; a store's address says where it is.
    where = shlex.quote(str(dataset.out)) if is_in_store(dataset.out) else "."
    environment = _environment(facts)
    page = environment.get_template("report.html.j2").render(
        policy=_policy(css, script),
        css=Markup(css),
        script=Markup(script),
        name=dataset.name,
        version=dataset.version,
        facts=facts,
        pictures=pictures,
        colours=colours,
        counts=plots.counts_of(facts),
        fidelity=plots.by_style(facts.fidelity, lowest_first=True),
        loss=plots.by_style(facts.loss, lowest_first=False),
        curves=curves,
        terms=LINES,
        plot_width=WIDTH,
        plot_height=HEIGHT,
        failures=failures,
        left_out=left_out,
        shown_at_once=plots.SHOWN_AT_ONCE,
        listed=_FAILURES_LISTED,
        manifest=manifest_text(dataset),
        made_by=made_by(dataset),
        notes=notes,
        sentence=sentence_of(facts),
        an_id=first.id if first else "",
        extension=extension_of(first.file) if first else "",
        where=where,
        data=_data(dataset, facts, pictures, colours)
        | {
            "where": where,
            "failures": [list(astuple(one)) for one in failures.lines],
            "leftOut": [list(astuple(one)) for one in left_out.lines],
        },
    )
    return page + "\n"


def sentence_of(facts: Facts) -> str:
    """What the dataset is, in one sentence."""
    styles = len(facts.counts["style"])
    kinds = facts.counts["kind"]
    said = [
        f"{kinds[kind]:,} {words[0] if kinds[kind] == 1 else words[1]}"
        for kind, words in _KINDS.items()
        if kinds[kind]
    ]
    made = f"{counted(facts.images, 'image')} of {counted(facts.photographs, 'photograph')}"
    in_styles = f" in {counted(styles, 'style')}" if styles else ""
    labelled = f", with {counted(facts.objects, 'labelled object')}" if facts.objects else ""
    kinds_said = f": {_listed(said)}" if said else ""
    return f"{made}{in_styles}{labelled}{kinds_said}."


def _listed(parts: list[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _environment(facts: Facts) -> Environment:
    environment = Environment(
        loader=PackageLoader("flows.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Short, for a hundred thousand rows; what HTML could take for its own is escaped all the same.
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "ensure_ascii": False,
        "allow_nan": False,
    }
    environment.filters |= {
        "number": number,
        "base": base_name,
        "style_name": style_names(facts.counts["style"]).__getitem__,
        "url": lambda path: quote(path, safe="/"),
        "few": few_digits,
    }
    return environment


def _own(name: str) -> str:
    return (resources.files("flows.report") / name).read_text(encoding="utf-8")


def _policy(css: str, script: str) -> str:
    """What a browser may load: pictures of the page, and files beside it. No network."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in (css, script)]
    style, code = (f"'sha256-{one.decode()}'" for one in hashes)
    return (
        f"default-src 'none'; img-src data: file: 'self'; style-src {style}; "
        f"script-src {code}; base-uri 'none'; form-action 'none'"
    )


def base_name(path: str) -> str:
    """The last part of a path."""
    return path.rstrip("/").rpartition("/")[2]


def style_names(paths: Iterable[str]) -> dict[str, str]:
    """Path of each style -> the last part of it, or all of it where two end the same."""
    ends = Counter(map(base_name, paths))
    return {path: base_name(path) if ends[base_name(path)] == 1 else path for path in paths}


def few_digits(value: float | None) -> str:
    """A share of 0..1 with two digits; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def _data(
    dataset: FinishedDataset, facts: Facts, pictures: Pictures, colours: dict[str, str]
) -> dict[str, Any]:
    """What the page's script works with."""
    table = facts.table
    columns = {one.name: getattr(table, one.name) for one in fields(table) if one.name != "names"}
    names = {name: list(places) for name, places in table.names.items()}
    others = (place for place in facts.outlines if place not in pictures.cards)
    return {
        "rowsAPage": ROWS_A_PAGE,
        "columns": columns,
        "names": names,
        "copies": [facts.originals.get(name, "") for name in names["content"]],
        "examples": list(pictures.cards),
        "outlines": {place: [_short(one) for one in facts.outlines[place]] for place in others},
        "colours": colours,
        "categories": [one.name for one in dataset.categories],
    }


def _short(one: Outline) -> list[str]:
    return list(astuple(one))
