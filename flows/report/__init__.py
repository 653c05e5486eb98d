"""OUT/report.html: what a dataset holds and how it came out, to be looked at without network."""

from __future__ import annotations

from manifests.durable import write_whole
from manifests.exporters.finished import read_finished
from manifests.storage import Place

REPORT = "report.html"


def write_report(out: Place) -> Place:
    """Write OUT/report.html of the finished dataset in `out`; the file.

    The same dataset gives the same bytes. Nobody else may write into OUT meanwhile.

    Raises:
        ManifestError: where there is no dataset, or a row of it is none.
        OSError: when the report cannot be written.
    """
    from flows.report.facts import gather
    from flows.report.page import render

    dataset = read_finished(out)
    file = dataset.out / REPORT
    write_whole(file, render(dataset, gather(dataset)).encode(), dataset.temporary_folder)
    return file
