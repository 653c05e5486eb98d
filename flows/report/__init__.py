"""OUT/report.html: what a dataset holds and how it came out, to be looked at without network."""

from __future__ import annotations

from manifests.durable import write_whole
from manifests.exporters.finished import read_finished
from manifests.storage import Place
from manifests.stores import is_there, read_bytes

REPORT = "report.html"


def write_report(out: Place, *, asks_stores: bool) -> Place:
    """Write OUT/report.html of the finished dataset in `out`; the file.

    The same dataset gives the same bytes; a file that has them already is left as it is, so that
    a run sees that nothing has changed. Nobody else may write into OUT meanwhile.

    Args:
        asks_stores: photographs and styles that lie in stores are read, for thumbnails. Not for a
            dataset of strangers, who could have this user's rights used on any address.

    Raises:
        ManifestError: where there is no dataset or it has no images, or a row of it is none.
        OSError: when the report cannot be written.
    """
    from flows.report.facts import gather
    from flows.report.page import render

    dataset = read_finished(out, to="report")
    file = dataset.out / REPORT
    # Halves of characters, which files of strangers may have, are shown as what they are.
    page = render(dataset, gather(dataset), asks_stores).encode(errors="backslashreplace")
    if not is_there(file) or read_bytes(file) != page:
        write_whole(file, page, dataset.temporary_folder)
    return file
