"""A finished dataset with stylized images, made without a run: what a report is of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from manifests.identity import digest
from manifests.label_rows import numbered, objects_column
from manifests.labels import Category, Object
from tests.flows.pictures import photo

WIDTH, HEIGHT = 48, 40


@dataclass
class Painted:
    """A dataset in FOLDER/out, of photographs in FOLDER/photos and styles in FOLDER/styles.

    Each photograph is there as it is, as a variant, and in each style. Its class is the one in
    turn; its fidelity in a style falls from style to style.

    Attributes:
        photographs, styles: file names.
        objects: of each image.
        has_originals: whether photographs are there as they are.
        has_masks: whether each image has a semantic mask, of class 3 left, none right.
        without: columns that an older version did not write.
        files: pictures that are written; further rows name these again.
    """

    folder: Path
    photographs: Sequence[str] = ("one.jpg", "two.jpg", "three.jpg")
    styles: Sequence[str] = ("waves.png", "tiles.png")
    classes: Sequence[str] = ("cat", "dog")
    categories: Sequence[Category] = ()
    objects: Sequence[Object] = ()
    name: str = "painted"
    has_originals: bool = True
    has_masks: bool = False
    without: frozenset[str] = frozenset()
    failures: Sequence[dict[str, Any]] = ()
    left_out: Sequence[dict[str, Any]] = ()
    files: int = 1_000
    rows: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def of_a_hundred_thousand_images(folder: Path) -> Painted:
        return Painted(
            folder,
            photographs=[f"a-photograph-of-something-{index:05}.jpg" for index in range(10_000)],
            styles=[f"style-{index}.png" for index in range(8)],
            classes=[f"class-{index}" for index in range(300)],
            files=500,
        )

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self) -> Path:
        """The folder of the dataset."""
        for index, name in enumerate(self.styles):
            _save(photo(100 + index, 40, 52), self.folder / "styles" / name)
        if self.photographs and len(self.photographs) <= self.files:
            for index, name in enumerate(self.photographs):
                _save(photo(index, WIDTH, HEIGHT), self.folder / "photos" / name)
        self.rows = list(self._rows())
        for index in range(self.files, len(self.rows)):
            self.rows[index]["file_name"] = self.rows[index % self.files]["file_name"]
        train = self.out / "train"
        train.mkdir(parents=True)
        for index, row in enumerate(self.rows[: self.files]):
            _save(photo(index, WIDTH, HEIGHT), train / row["file_name"])
            if self.has_masks:
                _save(_mask(), train / row["mask_file_name"])
        with (train / "metadata.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        self._write_lines("failures.jsonl", self.failures)
        self._write_lines("left_out.jsonl", self.left_out)
        (self.out / "dataset.json").write_text(json.dumps(self._about()), encoding="utf-8")
        return self.out

    def write_curves(
        self, number: int = 1, style_path: str = "styles/waves.png", **curve: Sequence[Any]
    ) -> None:
        """A record of the ledger, whose row has the losses of its pair, or these in their place."""
        falling = [4.0, 2.0, 1.0]
        whole = {"iteration": [0, 10, 20], "total": falling, "content": falling, "style": falling}
        whole |= {"total_variation": [0.1, 0.1, 0.1]} | curve
        row = {"variant_id": "v", "content_path": "photos/one.jpg", "style_path": style_path}
        header = {"format": 1, "done": ["v"], "failed": [], "left_out": []}
        ledger = self.out / ".gramflow" / "ledger"
        ledger.mkdir(parents=True, exist_ok=True)
        lines = [header, row | {"loss_curve": whole}]
        file = ledger / f"{number:06}-a.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in lines))

    def _write_lines(self, name: str, lines: Sequence[dict[str, Any]]) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (self.out / name).write_text(text, encoding="utf-8")

    def _rows(self) -> Iterator[dict[str, Any]]:
        for index, photograph in enumerate(self.photographs):
            label = self.classes[index % len(self.classes)] if self.classes else ""
            if self.has_originals:
                yield self._row(photograph, label, "original", "", 0)
            yield self._row(photograph, label, "augmented", "", 0)
            for place, style in enumerate(self.styles):
                yield self._row(photograph, label, "stylized", style, place)

    def _row(
        self, photograph: str, label: str, kind: str, style: str, place: int
    ) -> dict[str, Any]:
        variant = digest(photograph, kind, style)
        column = objects_column(self.objects, [1.0] * len(self.objects), [1.0] * len(self.objects))
        numbers = {category.name: number for number, category in enumerate(self.categories)}
        stem = photograph.rpartition(".")[0]
        row = {
            "file_name": f"{stem}-{kind}-{variant[:12]}.jpg",
            "label": label,
            "split": "train",
            "source_id": digest(photograph),
            "variant_id": variant,
            "pair_id": digest(photograph, style) if style else "",
            "kind": kind,
            "content_path": f"photos/{photograph}",
            "style_path": f"styles/{style}" if style else "",
            "width": WIDTH,
            "height": HEIGHT,
            "objects": numbered(column, numbers),
            "fidelity": round(0.9 - 0.5 * place / max(1, len(self.styles)), 4) if style else 1.0,
            "strength": 0.25 + 0.5 * place / max(1, len(self.styles)) if style else 0.0,
            "total_loss_end": 2.0 + place if style else 0.0,
            "recipe": "turn" if kind == "augmented" else "",
            "notes": "",
        }
        if self.has_masks:
            row["mask_file_name"] = f"masks/{row['file_name'].rpartition('.')[0]}.png"
        return {name: value for name, value in row.items() if name not in self.without}

    def _about(self) -> dict[str, Any]:
        counted = {
            "split": Counter("train" for _ in self.rows),
            "class": Counter(row["label"] for row in self.rows if row.get("label")),
        }
        manifest = {
            "version": 1,
            "name": self.name,
            "content": [{"path": "photos"}],
            "styles": [{"path": "styles"}] if self.styles else [],
            "output": {"path": "out"},
        }
        return {
            "gramflow_version": "0.1.0",
            "manifest": manifest,
            "manifest_file": "../job.yaml",
            "images": len(self.rows),
            "counts": counted,
            "categories": [asdict(category) for category in self.categories],
        }


def _mask() -> Image.Image:
    mask = Image.new("L", (WIDTH, HEIGHT))
    mask.paste(3, (0, 0, WIDTH // 2, HEIGHT))
    mask.paste(255, (WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT))
    return mask


def _save(picture: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
