"""Which images of a folder previews have made: a dataset must not be taken for one of theirs.

What a preview does not show it sets aside, which is no loss only where previews have made all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from manifests.durable import check_stays_inside, remove_durably, write_whole
from manifests.ledger import Ids, json_line
from manifests.storage import Place, local_folder
from manifests.stores import read_bytes

_NAME = "preview.json"


def is_of_previews(out: Place, ids: Ids) -> bool:
    """Whether all images on record are a preview's, or none is.

    Args:
        ids: those of the ledger.
    """
    marked = _marked(out)
    return all(on_record <= marked for on_record in (ids.done, ids.failed, ids.left_out))


def mark_as_preview(out: Place, ids: Iterable[str]) -> None:
    """Put on record that a preview is about to make these images, too."""
    folder = local_folder(out)
    check_stays_inside(folder, out)
    write_whole(_file(out), json_line(sorted(_marked(out).union(ids))), folder / "tmp")


def take_mark_off(out: Place) -> None:
    """Call it before a run changes anything: from then on it is a dataset, no preview."""
    remove_durably(_file(out))


def _marked(out: Place) -> set[str]:
    """Without a mark, or with one that says nothing, no image is a preview's."""
    try:
        marked = json.loads(read_bytes(_file(out)))
    except (FileNotFoundError, ValueError):
        return set()
    return set(marked) if isinstance(marked, list) else set()


def _file(out: Place) -> Place:
    return out / ".gramflow" / _NAME
