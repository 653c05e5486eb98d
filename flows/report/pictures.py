"""The pictures that the report holds itself: of its examples and of the styles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from flows.colours import CLEAR_CLASSES
from flows.origins import manifest_of
from flows.report.examples import Example
from flows.report.facts import ID_CHARACTERS, Facts, file_of
from flows.report.outlines import Outline
from flows.report.thumbnails import Thumbnail, mask_thumbnail, thumbnail
from manifests.errors import ManifestError
from manifests.exporters.finished import FinishedDataset
from manifests.images import MAX_PIXELS, UnusableImage
from manifests.reading import ReadManifest
from manifests.storage import Place, is_in_store, relative

_THREADS = 4
_LONG_SIDE_PX = 320
_OF_STYLES_PX = 200
_OPENING_PX = 900
_MOST_STYLES = 64
_PATH_CHARACTERS = 160
# Of the pictures of the examples, as text; one that does not fit is read from its file.
_MOST_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class Card:
    """One example.

    Attributes:
        place: in the table.
        content: its photograph; None where that cannot be shown.
        mask: its semantic mask, of class indices, where it has one that can be read.
        classes: indices in it.
        unread_mask: the file of one that cannot, relative to OUT; else empty.
        copy: of its photograph in the dataset, relative to OUT; empty where there is none.
    """

    place: int
    example: Example
    result: Thumbnail
    content: Thumbnail | None
    mask: Thumbnail | None
    classes: frozenset[int]
    unread_mask: str
    outlines: tuple[Outline, ...]
    copy: str

    @property
    def file(self) -> str:
        """Relative to OUT."""
        return file_of(self.example.split, self.example.row)

    @property
    def id(self) -> str:
        return str(self.example.row["variant_id"])[:ID_CHARACTERS]

    @property
    def categories(self) -> Counter[str]:
        """Of its objects, with how many there are."""
        return Counter(one.category for one in self.outlines)

    @property
    def content_name(self) -> str:
        return str(self.example.row.get("content_path") or self.example.row["file_name"])


@dataclass(frozen=True)
class Opening:
    """What the page opens with: one stylized image and its photograph, larger."""

    card: Card
    content: Thumbnail
    result: Thumbnail


@dataclass(frozen=True)
class Pictures:
    """Attributes:
    cards: by place in the table, in the order in which they are shown.
    styles: by path, of the examples' and of the most used ones.
    notes: what could not be shown, a sentence each.
    """

    cards: Mapping[int, Card]
    styles: Mapping[str, Thumbnail]
    opening: Opening | None
    notes: tuple[str, ...]

    @property
    def classes(self) -> list[int]:
        """Class indices in the masks of the examples that have a colour."""
        return sorted({one for card in self.cards.values() for one in card.classes} - CLEAR_CLASSES)


@dataclass(frozen=True)
class _Files:
    """Where pictures lie.

    Attributes:
        read: the manifest that the dataset was made by; None where dataset.json has none.
        asks_stores: also what lies in stores is read.
        not_asked: what was not, therefore.
    """

    dataset: FinishedDataset
    originals: Mapping[str, str]
    read: ReadManifest | None
    max_pixels: int
    asks_stores: bool
    not_asked: set[str] = field(default_factory=set)

    def of_manifest(self, name: str) -> Place | None:
        """A photograph or style by the path that metadata has of it."""
        if self.read is None or not name:
            return None
        try:
            file = self.read.resolve(name)
        except ValueError:  # in a store whose package is missing
            return None
        if is_in_store(file) and not self.asks_stores:
            self.not_asked.add(name)
            return None
        return file

    def content(self, example: Example) -> Place | None:
        """The photograph of an image that is none itself: its copy in the dataset, or its file."""
        name = example.row.get("content_path") or ""
        if example.kind == "original":
            return None
        if name in self.originals:
            return self.dataset.out / self.originals[name]
        return self.of_manifest(name)

    def small(self, file: Place | None, long_side_px: int) -> Thumbnail | None:
        """None for a file that is gone or no image."""
        if file is None:
            return None
        try:
            return thumbnail(file, long_side_px, self.max_pixels)
        except UnusableImage:
            return None


def pictures_of(dataset: FinishedDataset, facts: Facts, asks_stores: bool) -> Pictures:
    """Read and shrink them; what is gone or no image is left out, and `notes` say so."""
    read, refused = None, ""
    try:
        read = manifest_of(dataset)
    except ManifestError as error:  # as of another version
        refused = str(error.problems[0])
    max_pixels = dataset.about.get("manifest", {}).get("max_pixels", MAX_PIXELS)
    files = _Files(dataset, facts.originals, read, max_pixels, asks_stores)
    with ThreadPoolExecutor(_THREADS) as threads:
        made = threads.map(partial(_card, files, facts), facts.examples)
        read_cards = [card for card in made if card is not None]
        cards = _as_many_as_fit(read_cards)
        wanted = _styles_wanted(cards, facts)
        shrunk = threads.map(
            lambda name: files.small(files.of_manifest(name), _OF_STYLES_PX), wanted
        )
        styles = {name: one for name, one in zip(wanted, shrunk) if one is not None}
    return Pictures(
        cards={card.place: card for card in cards},
        styles=styles,
        opening=_opening(files, cards),
        notes=tuple(_notes(facts, read_cards, wanted, styles, files.not_asked, refused)),
    )


def _card(files: _Files, facts: Facts, place: int) -> Card | None:
    """None where the image itself cannot be read."""
    example = facts.examples[place]
    row, dataset = example.row, files.dataset
    result = files.small(dataset.image(example.split, row), _LONG_SIDE_PX)
    if result is None:
        return None
    mask_file, mask, unread_mask = dataset.mask(example.split, row), None, ""
    classes: frozenset[int] = frozenset()
    if mask_file is not None:
        try:
            mask, classes = mask_thumbnail(mask_file, _LONG_SIDE_PX, files.max_pixels)
        except UnusableImage:
            unread_mask = relative(mask_file, dataset.out)
    return Card(
        place=place,
        example=example,
        result=result,
        content=files.small(files.content(example), _LONG_SIDE_PX),
        mask=mask,
        classes=classes,
        unread_mask=unread_mask,
        outlines=tuple(facts.outlines.get(place, ())),
        copy=facts.originals.get(row.get("content_path") or "", ""),
    )


def _as_many_as_fit(cards: Iterable[Card]) -> list[Card]:
    fitting, characters = [], 0
    for card in cards:
        shown = (card.result, card.content, card.mask)
        characters += sum(len(one.uri) for one in shown if one is not None)
        if characters > _MOST_CHARACTERS:
            break
        fitting.append(card)
    return fitting


def _styles_wanted(cards: Iterable[Card], facts: Facts) -> list[str]:
    of_cards = dict.fromkeys(card.example.style for card in cards if card.example.style)
    by_use = (name for name, _ in facts.counts["style"].most_common(_MOST_STYLES))
    return list(of_cards | dict.fromkeys(by_use))[:_MOST_STYLES]


def _opening(files: _Files, cards: Iterable[Card]) -> Opening | None:
    """Of the stylized examples, wide ones first, that with most of its style and photograph."""
    possible = [
        card
        for card in cards
        if card.example.kind == "stylized" and card.example.style and card.content
    ]
    wide = [card for card in possible if card.result.width > card.result.height]
    if not possible:
        return None
    card = max(wide or possible, key=lambda card: card.example.strength * card.example.fidelity)
    content = files.small(files.content(card.example), _OPENING_PX)
    result = files.small(files.dataset.image(card.example.split, card.example.row), _OPENING_PX)
    if content is None or result is None:
        return None
    return Opening(card, content, result)


def _notes(
    facts: Facts,
    cards: list[Card],
    wanted: list[str],
    styles: Mapping[str, Thumbnail],
    not_asked: set[str],
    refused: str,
) -> Iterable[str]:
    of_all = len(facts.table.file)
    if of_all < facts.images:
        yield (
            f"Of {facts.images:,} images {of_all:,}, evenly spaced, can be filtered here; "
            "counts and distributions are of all."
        )
    if len(facts.outlines) < facts.labelled:
        drawn = f"{len(facts.outlines):,} of {facts.labelled:,}"
        yield f"Objects are drawn on {drawn} images that have some, the examples among them."
    masks = [card.unread_mask for card in cards if card.unread_mask]
    if masks:
        one = _short(masks[0])
        yield f"Masks that cannot be read are not shown, as {one}; `gramflow verify` says why."
    unread = len(facts.examples) - len(cards)
    if unread:
        yield f"{unread:,} examples cannot be read, `gramflow verify` says why."
    if refused:
        yield f"What lies outside the dataset is not shown, as its manifest is refused: {refused}."
        return
    if not_asked:
        yield f"Only a run's own report shows what lies in stores, as {min(not_asked)}."
    gone = [
        card.content_name
        for card in cards
        if not card.content
        and card.example.kind != "original"
        and card.content_name not in not_asked
    ]
    if gone:
        yield f"Photographs that are not where they were are not shown, as {_short(gone[0])}."
    missing = [name for name in wanted if name not in styles and name not in not_asked]
    if missing:
        one = _short(missing[0])
        yield f"Styles that are not where they were are shown by name only, as {one}."


def _short(path: str) -> str:
    """Its start and end, where it is long."""
    return path if len(path) <= _PATH_CHARACTERS else f"{path[:60]}…{path[-60:]}"
