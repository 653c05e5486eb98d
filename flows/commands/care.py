"""Commands that look after a finished dataset: verify, replay, report, prune."""

from __future__ import annotations

import os
import posixpath
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.console import (
    SOME_FAILED,
    WRONG_USE,
    complain,
    error_console,
    one_sentence_errors,
    say,
    say_json,
)
from flows.commands.options import FinishedArgument
from flows.wording import counted, file_size

if TYPE_CHECKING:
    from flows.sample import Sampled
    from manifests.exporters.finished import FinishedDataset, Row
    from manifests.storage import Place
    from manifests.verification import Finding, Seen

_SHOWN_OF_A_KIND = 20


def verify(
    out: FinishedArgument,
    sample: Annotated[
        int, typer.Option("--sample", min=0, help="Also make so many files again, and compare.")
    ] = 0,
    mend: Annotated[
        bool, typer.Option("--mend", help="Set damaged files aside, for the next run to make.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line: problems, then the summary.")
    ] = False,
) -> None:
    """Check that every row has its file, every file its row, and labels are inside their images."""
    with one_sentence_errors():
        from flows.sample import Sampled
        from manifests.exporters.finished import read_finished
        from manifests.storage import whole_place
        from manifests.verification import Seen, set_aside

        seen, sampled = Seen(), None
        kinds: Counter[str] = Counter()
        aside = 0
        with _nobody_writes(whole_place(out), mend), error_console.status("reading files"):
            # While a run writes its indexes there is no dataset: it is looked for only now.
            dataset = read_finished(whole_place(out))
            if sample:
                sampled = Sampled()
            for finding in _findings(dataset, seen, sample, sampled):
                kinds[finding.kind] += 1
                if mend and (mended := set_aside(dataset.out, finding)):
                    finding, aside = mended, aside + 1
                if as_json:
                    say_json(asdict(finding))
                elif kinds[finding.kind] <= _SHOWN_OF_A_KIND:
                    say(str(finding))
        _summary(dataset.out, seen, sampled, kinds, aside, as_json)
        sys.exit(SOME_FAILED if kinds else 0)


def replay(
    out: FinishedArgument,
    variant_id: Annotated[str, typer.Argument(help="Of its row, the short one, or its file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
) -> None:
    """Make one file of a finished dataset again, from its metadata alone."""
    with one_sentence_errors():
        from flows.replay import differences, origins_of, psnr_db
        from flows.replay import replay as make_again
        from manifests.durable import write_whole
        from manifests.exporters.finished import read_finished
        from manifests.images import UnusableImage
        from manifests.storage import whole_place
        from manifests.stores import is_there, read_bytes

        dataset = read_finished(whole_place(out))
        split, row = _row_of(dataset, variant_id)
        with error_console.status("making it again"):
            again = make_again(origins_of(dataset), row)
        write_whole(output.absolute(), again.image, output.absolute().parent)
        file = dataset.image(split, row)
        there = read_bytes(file) if is_there(file) else b""
        if there == again.image:
            say(f"{output}: the bytes of {file}")
            return
        if there:
            try:
                near = psnr_db(there, again.image)
                compared = "has another size" if near is None else f"PSNR {near:.1f} dB"
            except UnusableImage:
                compared = "is damaged"
        else:
            compared = "is gone"
        say(
            "; ".join(
                [f"{output}: not the bytes of {file}: {compared}", *differences(dataset, row)]
            )
        )


def report(out: FinishedArgument) -> None:
    """Write OUT/report.html again: what the dataset holds, to be looked at in a browser."""
    with one_sentence_errors():
        from flows.report import write_report
        from manifests.exporters.finished import read_finished
        from manifests.in_use import in_use
        from manifests.storage import is_in_store, whole_place
        from manifests.stores import names_in

        folder = whole_place(out)
        if not names_in(folder / ".gramflow"):  # else a run may be about to write its dataset.json
            read_finished(folder, to="report")
        with in_use(folder), error_console.status("looking at the dataset"):
            file = write_report(folder, asks_stores=is_in_store(folder))
        say(f"report: {file}")


def prune(
    out: FinishedArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """Remove what no dataset has any more: files set aside, and leftovers of killed runs."""
    with one_sentence_errors():
        from manifests.in_use import in_use
        from manifests.pruning import prunable, remove
        from manifests.storage import whole_place
        from manifests.stores import names_in

        folder = whole_place(out)
        if not names_in(folder / ".gramflow" / "ledger"):
            complain(f"{folder}: expected the output folder of a run", WRONG_USE)
        with in_use(folder):
            pruning = prunable(folder)
            shown: Counter[str] = Counter()
            for one in pruning.unneeded:
                shown[one.why] += 1
                if shown[one.why] <= _SHOWN_OF_A_KIND:
                    say(f"{one.file}: {file_size(one.size_bytes)}, {one.why}")
            _say_how_many_more(shown)
            for file in pruning.kept[:_SHOWN_OF_A_KIND]:
                say(f"{file}: stays, for nothing shows that gramflow wrote these bytes")
            _say_how_many_more(Counter({"kept": len(pruning.kept)}))
            total = file_size(sum(one.size_bytes for one in pruning.unneeded))
            what = f"{counted(len(pruning.unneeded), 'file')}, {total}"
            if not pruning.unneeded:
                say("nothing to remove")
            elif yes or (sys.stdin.isatty() and typer.confirm(f"remove {what}?")):
                remove(folder, pruning.unneeded)
                say(f"removed {what}")
            else:
                say(f"nothing removed; --yes removes {what}")


def _findings(
    dataset: FinishedDataset, seen: Seen, sample: int, told: Sampled | None
) -> Iterator[Finding]:
    from manifests.verification import verify as verify_files

    yield from verify_files(dataset, seen)
    if told is not None:
        from flows.sample import sampled

        yield from sampled(dataset, sample, told)


@contextmanager
def _nobody_writes(out: Place, mend: bool) -> Iterator[None]:
    """A dataset that cannot be written to may be looked at all the same, but not mended."""
    from manifests.in_use import in_use
    from manifests.stores import StoreError, is_there, names_in

    # In a folder that is none of gramflow's, nothing is written either.
    is_ours = is_there(out / "dataset.json") or bool(names_in(out / ".gramflow"))
    writable = not isinstance(out, Path) or os.access(out / ".gramflow", os.W_OK)
    with ExitStack() as held:
        if is_ours and (mend or writable):
            try:
                held.enter_context(in_use(out))
            except StoreError:  # refused, as where credentials are for reading only
                if mend:
                    raise
        yield


def _summary(
    out: Place,
    seen: Seen,
    sampled: Sampled | None,
    kinds: Counter[str],
    aside: int,
    as_json: bool,
) -> None:
    if as_json:
        again = None if sampled is None else asdict(sampled)
        there = {"images": seen.images, "objects": seen.objects, "sampled": again}
        told = {"problems": dict(kinds), "set_aside": aside, "not_compared": seen.not_compared}
        say_json(there | told)
        return
    _say_how_many_more(kinds)
    counts = {"image": seen.images, "object": seen.objects, "problem": kinds.total()}
    say(f"{out}: {', '.join(counted(count, noun) for noun, count in counts.items())}")
    if seen.not_compared:
        formats = " ".join(f"--format {format}" for format in seen.not_compared)
        say(
            f"bytes of {', '.join(seen.not_compared)} not compared: nothing says what they were; "
            f"`gramflow export OUT {formats}` writes that too"
        )
    if sampled is not None:
        say(str(sampled))
    if aside:
        makes = "makes it again" if aside == 1 else "makes them again"
        say(f"{counted(aside, 'file')} set aside; `gramflow run` with the manifest {makes}")


def _say_how_many_more(kinds: Counter[str]) -> None:
    for kind, count in kinds.items():
        if count > _SHOWN_OF_A_KIND:
            say(f"… and {count - _SHOWN_OF_A_KIND:,} more: {kind}")


def _row_of(dataset: FinishedDataset, wanted: str) -> tuple[str, Row]:
    """The one row whose id begins so, or whose file has that name, with its split."""
    name = posixpath.basename(wanted)
    found = [
        (split, row)
        for split in dataset.splits
        for row in dataset.rows(split)
        if row["variant_id"].startswith(wanted) or posixpath.basename(row["file_name"]) == name
    ]
    if len(found) == 1:
        return found[0]
    expected = f"expected the variant_id or the file of a row of {dataset.out}"
    if not found:
        raise ValueError(f"{wanted}: {expected}")
    ids = ", ".join(row["variant_id"] for _, row in found[:3])
    raise ValueError(f"{wanted!r}: {expected}, but {len(found)} match, as {ids}; give more of it")
