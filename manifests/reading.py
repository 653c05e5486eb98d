"""From YAML to a Manifest, with the line of every field kept for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import ComposerError

from manifests.errors import Field, ManifestError, Problem
from manifests.schema import Manifest, Pair
from manifests.storage import Place, is_url, place
from manifests.stores import opened
from manifests.usable import usable

# So much is read in ten seconds, whatever it is.
_BIGGEST_MANIFEST_BYTES = 2**20
_TOO_BIG = (
    "is larger than 1 MiB; images and pairs can be lists in files of their own, .csv or .jsonl"
)
_TEXT_TAG = "tag:yaml.org,2002:str"
_NUMBER_TAGS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_MOST_DIGITS = 1_000
_NO_LINES: Mapping[Field, int] = {}


class _Bounded(yaml.SafeLoader):
    """Aliases would let a small file expand to any size; long numbers take minutes to build."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        assert isinstance(node, yaml.ScalarNode)
        if node.tag in _NUMBER_TAGS and len(node.value) > _MOST_DIGITS:
            problem = f"is a number of more than {_MOST_DIGITS:,} digits"
            raise ComposerError(None, None, problem, node.start_mark)
        return node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML
            raise ComposerError(None, None, "is a YAML alias; write the value out", mark)
        return super().compose_node(parent, index)


@dataclass(frozen=True)
class ReadManifest:
    """A manifest with where it came from.

    Attributes:
        folder: relative paths of the manifest are relative to it.
        unknown: parts of which something is wrong in the file; `manifest` has others there.
    """

    manifest: Manifest
    file: Path
    lines: Mapping[Field, int]
    unknown: frozenset[Field] = frozenset()

    @property
    def folder(self) -> Path:
        """The manifest's own, that its relative paths are relative to."""
        return self.file.parent

    def problem(self, field: Field, message: str) -> Problem:
        """A problem with the value of `field`, placed at its line or that of its parent."""
        return Problem(str(self.file), _line(self.lines, field), _dotted(field), message)

    def resolve(self, path: str) -> Place:
        """The place that `path`, or a URL, means in this manifest."""
        return place(path, self.folder)

    def knows(self, field: Field) -> bool:
        """Whether the field, and what it is in, are as the file has them."""
        return not any(field[:end] in self.unknown for end in range(len(field) + 1))


class UnusableManifest(ManifestError):
    """Values of a manifest are wrong; `rest` is what of it may be looked at all the same."""

    rest: ReadManifest | None = None  # once pickled


def read_manifest(file: Path) -> ReadManifest:
    """Read and check a manifest.

    Args:
        file: a YAML file on a disk; `~` is the user's home folder.

    Returns:
        The manifest, with the line of each of its fields.

    Raises:
        ManifestError: with every problem found, each with file, line and field.
    """
    file = file.expanduser().absolute()
    node = parse_yaml(file)
    if not isinstance(node, yaml.MappingNode):
        raise ManifestError([Problem(str(file), 1, "", "expected a mapping with version, name, …")])
    lines: dict[Field, int] = {}
    problems = list(_collect_lines(node, (), lines, str(file)))
    if problems:
        raise ManifestError(problems)
    return manifest_of(construct_yaml(node, file), file, lines)


def manifest_of(values: Any, file: Path, lines: Mapping[Field, int] = _NO_LINES) -> ReadManifest:
    """A manifest of plain values, which are in a file or are to be.

    Raises:
        UnusableManifest: with every problem found.
    """
    problems: list[Problem] = []
    wrong: set[Field] = set()
    try:
        read = ReadManifest(Manifest.model_validate(values), file, lines)
    except ValidationError as error:
        messages = _messages(error, lines)
        problems += _problems(messages, str(file), lines)
        wrong.update(messages)
        read = _rest(values, wrong, file, lines)
    for field, message in _unusable_urls(read):
        problems.append(read.problem(field, message))
        wrong.add(field)
    if problems:
        unusable = UnusableManifest(problems)
        unusable.rest = _rest(values, wrong, file, lines)
        raise unusable
    return read


def _rest(
    values: Any, wrong: Iterable[Field], file: Path, lines: Mapping[Field, int]
) -> ReadManifest:
    manifest, unknown = usable(values, wrong)
    return ReadManifest(manifest, file, lines, unknown)


def _unusable_urls(read: ReadManifest) -> Iterator[tuple[Field, str]]:
    """URLs of stores that there are not, or whose package is missing, and what is wrong."""
    manifest = read.manifest
    paths: list[tuple[Field, str | None]] = [(("output", "path"), manifest.output.path)]
    for index, content in enumerate(manifest.content):
        for name in ("path", "annotations", "masks"):
            paths.append((("content", index, name), getattr(content, name)))
    paths += [(("styles", i, "path"), style.path) for i, style in enumerate(manifest.styles)]
    for number, pair in enumerate(manifest.pairing.pairs or ()):
        if isinstance(pair, Pair):
            paths.append((("pairing", "pairs", number, "content"), pair.content))
            paths.append((("pairing", "pairs", number, "style"), pair.style))
    if isinstance(manifest.pairing.pairs, str):
        paths.append((("pairing", "pairs"), manifest.pairing.pairs))
    for field, path in paths:
        try:
            read.resolve(path or "")
        except ValueError as error:
            yield field, str(error)
    weights = manifest.stylize.weights
    if weights and is_url(weights):
        yield ("stylize", "weights"), f"expected a local file, got {weights!r}"


def parse_yaml(file: Place) -> yaml.Node | None:
    """The nodes of a YAML file, with their places; None for an empty one.

    Raises:
        ManifestError: for what is no YAML, has aliases or is too large.
    """
    try:
        with opened(file) as whole:
            data = whole.read(_BIGGEST_MANIFEST_BYTES + 1)
        if len(data) > _BIGGEST_MANIFEST_BYTES:
            raise ManifestError([Problem(str(file), None, "", _TOO_BIG)])
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        message = f"{error.strerror or 'unreadable'}; expected a YAML manifest"
        raise ManifestError([Problem(str(file), None, "", message)]) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start})"
        raise ManifestError([Problem(str(file), None, "", message)]) from None
    try:
        return yaml.compose(text, Loader=_Bounded)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        what = ", ".join(part for part in (error.context, error.problem) if part)
        if not isinstance(error, ComposerError):
            what = f"is not YAML: {what}; see its indents, and put odd text in quotes"
        raise ManifestError([Problem(str(file), line, "", what)]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a wrong \U escape, say
        what = f"is not YAML: {' '.join(str(error).split())}; expected a YAML manifest, as text"
        raise ManifestError([Problem(str(file), None, "", what)]) from None
    except RecursionError:
        raise ManifestError([Problem(str(file), None, "", "is nested too deeply")]) from None


def construct_yaml(node: yaml.Node, file: Place) -> Any:
    """The plain values that YAML nodes stand for.

    Raises:
        ManifestError: for what no value can be made of.
    """
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ManifestError([Problem(str(file), line, "", str(error.problem))]) from None
    except (ValueError, OverflowError, LookupError, AttributeError) as error:
        # What PyYAML's constructors raise for `!!bool perhaps` or a month 13.
        message = f"has a value that YAML cannot build: {error}"
        raise ManifestError([Problem(str(file), None, "", message)]) from None
    finally:
        loader.dispose()


def _collect_lines(
    node: yaml.Node, field: Field, lines: dict[Field, int], file: str
) -> Iterable[Problem]:
    """Fill `lines`; yields what YAML lets through and a manifest must not have."""
    lines.setdefault(field, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _collect_lines(child, (*field, index), lines, file)
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag != _TEXT_TAG:
                yield Problem(file, line, _dotted(field), "expected text as key (in quotes if odd)")
                continue
            inner: Field = (*field, key.value)
            if key.value in names:
                yield Problem(file, line, _dotted(inner), "is given twice")
            names.add(key.value)
            lines[inner] = line
            yield from _collect_lines(child, inner, lines, file)


def _line(lines: Mapping[Field, int], field: Field) -> int | None:
    """The line of the field, or of the nearest thing around it that the file has."""
    while field and field not in lines:
        field = field[:-1]
    return lines.get(field)


def _dotted(field: Field) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field)
    return text.removeprefix(".")


def _messages(error: ValidationError, lines: Mapping[Field, int]) -> dict[Field, str]:
    """What is wrong with each field, the first that pydantic says of it."""
    messages: dict[Field, str] = {}
    for one in error.errors(include_url=False):
        field = _field_of(one["loc"], lines)
        messages.setdefault(field, _message(one, field))
    return messages


def _problems(
    messages: Mapping[Field, str], file: str, lines: Mapping[Field, int]
) -> list[Problem]:
    """One problem a field, in the file's order; of nested ones the innermost, which says most."""
    outer = {field[:end] for field in messages for end in range(len(field))}
    problems = [
        Problem(file, _line(lines, field), _dotted(field), message)
        for field, message in messages.items()
        if field not in outer
    ]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _field_of(loc: tuple[int | str, ...], lines: Mapping[Field, int]) -> Field:
    """pydantic's location without the names of union members and of keys it adds."""
    members = {"function-after", "str", "tuple[Pair, ...]", "[key]"}
    field: Field = ()
    for part in loc:
        in_file = (*field, part) in lines
        if in_file or (part not in members and "constrained" not in str(part)):
            field = (*field, part)
    return field


def _message(error: Any, field: Field) -> str:
    kind, got = error["type"], error["input"]
    if kind == "extra_forbidden":
        return "unknown field" + _suggest(str(field[-1]), field[:-1])
    if kind == "missing":
        return "is required"
    message = error["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "expected").replace("valid tuple", "list")
    shown = repr(got)
    if "got " in message or isinstance(got, (dict, BaseModel)) or len(shown) > 80:
        return str(message)
    return f"{message}, got {shown}"


def _suggest(name: str, parent: Field) -> str:
    known = sorted(_fields_at(parent))
    close = difflib.get_close_matches(name, known, n=1)
    meant = f", did you mean {close[0]}?" if close else ""
    return f"{meant or ';'} expected one of {', '.join(known)}".replace("? expected", "? Expected")


def _fields_at(parent: Field) -> Iterable[str]:
    """Names of the fields of the model that stands at `parent` in the schema."""
    model: type[BaseModel] = Manifest
    for part in parent:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        arguments = getattr(annotation, "__args__", ())
        candidates = [
            annotation,
            *arguments,
            *(a for b in arguments for a in getattr(b, "__args__", ())),
        ]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return model.model_fields
