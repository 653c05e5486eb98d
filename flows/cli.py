"""The command line: `gramflow --help`. Heavy imports wait until a command needs them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import typer
import yaml
from rich.console import Console
from rich.table import Table

from manifests.errors import ManifestError, few_of_each_kind

if TYPE_CHECKING:
    from flows.dataset import Summary
    from flows.job import Job
    from flows.progress import Control

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Augmented training datasets by neural style transfer: from a YAML manifest to a folder.",
)
out_console = Console()
error_console = Console(stderr=True)

SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
_FAILURES_SHOWN = 20
_PROBLEMS_SHOWN = 20

_ENCODERS_HELP = "compact (bundled), vgg19, vgg16, or random (for tests)."

ManifestArgument = Annotated[Path, typer.Argument(help="The YAML manifest.", show_default=False)]
OutOption = Annotated[
    Optional[str], typer.Option("--out", help="Output folder, instead of the manifest's.")
]
EncoderOption = Annotated[Optional[str], typer.Option("--encoder", help=_ENCODERS_HELP)]
WeightsOption = Annotated[
    Optional[Path], typer.Option("--weights", help="File with the encoder's weights.")
]
PresetOption = Annotated[str, typer.Option("--preset", help="fast, gatys2016 or report2019.")]
SizeOption = Annotated[
    Optional[int], typer.Option("--size", help="Long side of the result in pixels.")
]
StrengthOption = Annotated[
    float, typer.Option("--strength", help="Of the style: 0 keeps the content's, 1 is full.")
]
ColorOption = Annotated[
    str,
    typer.Option(
        "--preserve-color",
        help="luminance: transfer brightness only; match: give the style the content's colours.",
    ),
]


@app.command()
def run(
    manifest: ManifestArgument,
    out: OutOption = None,
    limit: Annotated[
        Optional[int], typer.Option("--limit", min=0, help="Make at most this many images now.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
) -> None:
    """Make every image of the manifest that is not there yet. Interrupt and repeat as you like."""
    with _one_sentence_errors():
        sys.exit(_run(manifest, out, limit, retry_failed, encoder, weights))


@app.command()
def plan(
    manifest: ManifestArgument,
    out: OutOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
) -> None:
    """Count what is new, done, failed, stale and orphaned; estimate time and disk."""
    with _one_sentence_errors():
        from flows.estimate import estimate
        from flows.terminal import duration, file_size
        from manifests.comparison import compare

        job = _prepared(manifest, out, encoder, weights)
        counts = compare(job.plan, job.ledger, job.out)
        table = Table(title=f"{job.plan.manifest.name} → {job.out}", title_justify="left")
        table.add_column("images")
        table.add_column("count", justify="right")
        table.add_column("meaning")
        for name, count, meaning in (
            ("new", counts.new, "to be made by the next run"),
            ("done", counts.done, "on record"),
            ("failed", counts.failed, "tried again only with --retry-failed"),
            ("left out", counts.left_out, "kept too little of their content's structure"),
            ("stale", counts.stale, "their content, style or parameters changed; set aside"),
            ("orphan", counts.orphan, "their content image is no longer named; set aside"),
        ):
            table.add_row(name, f"{count:,}", meaning)
        out_console.print(table)
        left = estimate(job)
        _say(
            f"about {duration(left.seconds)} on this machine, {file_size(left.disk_bytes)} of disk"
        )


@app.command()
def validate(manifest: ManifestArgument) -> None:
    """Check the manifest, its recipes, lists and labels; show every problem found."""
    with _one_sentence_errors():
        from flows.job import check_manifest, read_for_run
        from flows.label_range import out_of_range

        read = read_for_run(manifest)
        try:
            content = check_manifest(read)
        except ManifestError as error:
            _complain(str(error), WRONG_USE)
        for line in out_of_range(content):
            _say(line)
        _say(f"{manifest}: valid")


@app.command()
def export(
    out: Annotated[str, typer.Argument(help="The output folder of a finished run, or its URL.")],
    formats: Annotated[
        list[str],
        typer.Option(
            "--format", help="imagefolder, coco, yolo, voc or webdataset; give it for each."
        ),
    ],
) -> None:
    """Write a finished dataset in more formats, without stylizing again."""
    with _one_sentence_errors():
        from manifests.exporters.finished import read_finished
        from manifests.exporters.formats import export as export_formats
        from manifests.in_use import in_use
        from manifests.storage import place

        folder = place(out)
        read_finished(folder)
        with in_use(folder):
            for written in export_formats(folder, formats):
                _say(str(written))


@app.command()
def stylize(
    content: Annotated[Path, typer.Argument(help="Content image.")],
    style: Annotated[Path, typer.Argument(help="Style image.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .jpg or .png.")],
    encoder: Annotated[str, typer.Option("--encoder", help=_ENCODERS_HELP)] = "compact",
    weights: WeightsOption = None,
    preset: PresetOption = "fast",
    size: SizeOption = None,
    strength: StrengthOption = 1.0,
    preserve_color: ColorOption = "no",
) -> None:
    """Stylize one picture."""
    with _one_sentence_errors():
        from flows.one_picture import stylize_picture

        losses = stylize_picture(
            content,
            style,
            output,
            encoder=encoder,
            weights=weights,
            preset=preset,
            size=size,
            strength=strength,
            preserve_color=preserve_color,
            console=error_console,
        )
        _say(f"{output}: loss {losses[0]:.4g} → {losses[1]:.4g}")


@app.command()
def folder(
    content_dir: Annotated[Path, typer.Argument(help="Folder of content images.")],
    style: Annotated[Path, typer.Option("--style", help="A style image or a folder of them.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    encoder: Annotated[str, typer.Option("--encoder", help=_ENCODERS_HELP)] = "compact",
    weights: WeightsOption = None,
    preset: PresetOption = "fast",
    size: SizeOption = None,
    strength: StrengthOption = 1.0,
) -> None:
    """Stylize a folder on demand; done again, it does only what is new or changed."""
    with _one_sentence_errors():
        if not content_dir.is_dir():
            raise ValueError(f"{content_dir}: is no folder")
        if not style.exists():
            raise ValueError(f"{style}: there is no such style image or folder")
        manifest = out.absolute() / ".gramflow" / "folder.yaml"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "encoder": encoder,
            "preset": preset,
            "strength": strength,
            **({"size": size} if size is not None else {}),
            **({"weights": str(weights.absolute())} if weights is not None else {}),
        }
        described = {
            "version": 1,
            "name": "folder",
            "content": [{"path": str(content_dir.absolute())}],
            "styles": [{"path": str(style.absolute())}],
            "pairing": {"strategy": "all"},
            "stylize": settings,
            "augment": {"include_original": False},
            "output": {"path": str(out.absolute())},
        }
        manifest.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
        sys.exit(_run(manifest))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the demo.")] = Path("gramflow-demo"),
) -> None:
    """Make a small dataset from bundled photographs and painted styles, without network."""
    with _one_sentence_errors():
        from flows.demo import prepare_demo

        manifest = prepare_demo(out)
        _say(f"photographs, styles and manifest are in {out}")
        sys.exit(_run(manifest))


def _run(
    manifest: Path,
    out: str | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    encoder: str | None = None,
    weights: Path | None = None,
) -> int:
    """Run the flow under a Prefect server; exit status."""
    from flows.job import check_manifest, output_folder, read_for_run
    from flows.progress import Control, controlled_by
    from flows.server import home_of, prefect_server
    from flows.terminal import RunDisplay

    read = read_for_run(manifest, out, encoder, weights)
    check_manifest(read)
    with prefect_server(home_of(output_folder(read))):
        from flows.dataset import stylize_dataset

        with RunDisplay(out_console) as display:
            control = Control(tell=display.tell)
            with controlled_by(control), _ctrl_c_stops(control):
                summary = stylize_dataset(
                    manifest_path=manifest.absolute(),
                    out=out,
                    limit=limit,
                    retry_failed=retry_failed,
                    encoder=encoder,
                    weights=weights,
                )
    return _report(summary)


def _report(summary: Summary) -> int:
    """Say what a run came to; exit status."""

    if summary.stopped:
        _say(f"stopped: {summary.made} images made in this run are kept, {summary.left} are left")
        _say("to go on, give the same command again")
        return INTERRUPTED
    _say(f"{summary.dataset} images in {summary.out} ({summary.made} made in this run)")
    for export_line in summary.exports:
        _say(export_line)
    if summary.left:
        _say(f"{summary.left} images left; run again without --limit to make them")
    if summary.left_out:
        kept = "kept too little of their content's structure"
        _say(f"{summary.left_out} images left out: {kept}, see {summary.out}/left_out.jsonl")
    if summary.set_aside:
        aside = f"{summary.out}/.gramflow/set_aside"
        _say(f"{summary.set_aside} files that the plan no longer wants were moved to {aside}")
    for path, why, images in summary.failures[:_FAILURES_SHOWN]:
        _say(f"failed: {path}: {why} (images missing: {images})")
    if len(summary.failures) > _FAILURES_SHOWN:
        _say(f"… and {len(summary.failures) - _FAILURES_SHOWN} more")
    if summary.failures:
        _say(f"all failures: {summary.out}/failures.jsonl; try them again with --retry-failed")
    return SOME_FAILED if summary.failures else 0


def _prepared(manifest: Path, out: str | None, encoder: str | None, weights: Path | None) -> Job:
    from flows.job import prepare, read_for_run

    with error_console.status("reading files"):
        return prepare(read_for_run(manifest, out, encoder, weights))


@contextmanager
def _ctrl_c_stops(control: Control) -> Iterator[None]:
    """The first Ctrl-C asks the run to stop, the second is Python's own."""
    previous = signal.getsignal(signal.SIGINT)

    def stop(signum: int, frame: Any) -> None:
        error_console.print("stopping; what is finished is kept (Ctrl-C again to break off)")
        control.stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _one_sentence_errors() -> Iterator[None]:
    """Errors that are the user's to mend, without a traceback and with the right exit status."""
    from flows.server import ServerError
    from manifests.images import UnusableImage
    from manifests.ledger import LedgerError

    try:
        yield
    except ManifestError as error:
        lines = few_of_each_kind(error.problems, _PROBLEMS_SHOWN)
        if len(lines) < len(error.problems):
            lines.append("`gramflow validate` shows all of them")
        _complain("\n".join(lines), WRONG_USE)
    except (UnusableImage, LedgerError, ServerError, ValueError) as error:
        _complain(str(error), WRONG_USE)
    except OSError as error:
        _complain(_what_the_system_refused(error), WRONG_USE)
    except KeyboardInterrupt:
        _complain("interrupted; what is finished is kept, run again to go on", INTERRUPTED)
    except RuntimeError as error:
        if type(error).__name__ not in ("EncoderUnavailable", "DeviceLost"):
            raise
        _complain(str(error), WRONG_USE)


def _what_the_system_refused(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    kept = "what is finished is kept, mend this and run again to go on"
    return f"{where}{error.strerror or error}; {kept}"


def _say(line: str) -> None:
    out_console.print(line, highlight=False, markup=False, soft_wrap=True)


def _complain(message: str, status: int) -> NoReturn:
    for line in message.splitlines():
        error_console.print(
            f"error: {line}", style="red", highlight=False, markup=False, soft_wrap=True
        )
    sys.exit(status)
