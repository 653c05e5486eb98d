"""Reading a manifest: what is right comes out as data, what is wrong with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifests.errors import ManifestError, Problem
from manifests.reading import ReadManifest, read_manifest
from manifests.schema import Pair

STREET_PAINTED = """\
version: 1
name: street-painted
seed: 7
content:   [{path: photos/, split: train}]
styles:    [{path: paintings/*.jpg, weight: 2}]
pairing:   {strategy: random, styles_per_content: 2}
stylize:   {encoder: compact, preset: fast, size: 256, strength: [0.5, 1.0], preserve_color: false}
augment:
  include_original: true
  recipes:
    flip_turn: [{HorizontalFlip: {p: 0.5}}, {Rotate: {limit: 15, p: 1.0}}]
    light:     [{RandomBrightnessContrast: {p: 1.0}}]
  variants: {original: 1, stylized: 2}
output:
  {path: out/street, format: imagefolder, image: {type: jpeg, quality: 95}, splits: [train]}
"""

SMALLEST = """\
version: 1
name: small
content: [{path: photos}]
output: {path: out}
"""


def read(folder: Path, text: str | bytes) -> ReadManifest:
    file = folder / "job.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_manifest(file)


def problems_of(folder: Path, text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(ManifestError) as caught:
        read(folder, text)
    assert {problem.file for problem in caught.value.problems} == {str(folder / "job.yaml")}
    return caught.value.problems


def only_problem_of(folder: Path, text: str | bytes) -> tuple[int | None, str, str]:
    (problem,) = problems_of(folder, text)
    return problem.line, problem.field, problem.message


def test_the_manifest_of_the_readme_reads(tmp_path: Path) -> None:
    manifest = read(tmp_path, STREET_PAINTED).manifest
    assert (manifest.version, manifest.name, manifest.seed) == (1, "street-painted", 7)
    assert [(c.path, c.split) for c in manifest.content] == [("photos/", "train")]
    assert [(s.path, s.weight) for s in manifest.styles] == [("paintings/*.jpg", 2.0)]
    assert manifest.pairing.strategy == "random"
    assert manifest.pairing.styles_per_content == 2
    assert (manifest.stylize.encoder, manifest.stylize.preset) == ("compact", "fast")
    assert (manifest.stylize.size, manifest.stylize.strength) == (256, (0.5, 1.0))
    assert manifest.stylize.preserve_color == "no"
    assert manifest.augment.include_original is True
    assert manifest.augment.recipes == {
        "flip_turn": ({"HorizontalFlip": {"p": 0.5}}, {"Rotate": {"limit": 15, "p": 1.0}}),
        "light": ({"RandomBrightnessContrast": {"p": 1.0}},),
    }
    assert (manifest.augment.variants.original, manifest.augment.variants.stylized) == (1, 2)
    assert (manifest.output.path, manifest.output.format) == ("out/street", ("imagefolder",))
    assert (manifest.output.image.type, manifest.output.image.quality) == ("jpeg", 95)
    assert manifest.output.splits == ("train",)


def test_what_a_manifest_leaves_out_has_defaults(tmp_path: Path) -> None:
    manifest = read(tmp_path, SMALLEST).manifest
    assert (manifest.seed, manifest.styles, manifest.augment.recipes) == (0, (), {})
    assert (manifest.content[0].split, manifest.stylize.strength) == ("", (1.0, 1.0))


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SMALLEST,
        SMALLEST.replace("\n", "\r\n"),
        "# comment\n---\n" + SMALLEST,
        SMALLEST + "stylize: {strength: 0.25}\n",
        SMALLEST + "stylize: {strength: 0}\n",
        SMALLEST + "seed: 9223372036854775807\n",
        SMALLEST.replace("small", "7"),
    ],
    ids=["bom", "crlf", "comment", "strength", "whole strength", "biggest seed", "number as name"],
)
def test_unusual_but_right_manifests_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).manifest.version == 1


def test_one_strength_is_a_range_of_one(tmp_path: Path) -> None:
    text = SMALLEST + "stylize: {strength: 0.25}\n"
    assert read(tmp_path, text).manifest.stylize.strength == (0.25, 0.25)


def test_pairs_may_be_a_list_or_a_path(tmp_path: Path) -> None:
    pairs = "pairing: {strategy: listed, pairs: [{content: a.png, style: b.png}]}\n"
    inline = read(tmp_path, SMALLEST + pairs).manifest.pairing.pairs
    assert inline == (Pair(content="a.png", style="b.png"),)
    table = read(tmp_path, SMALLEST + "pairing: {strategy: listed, pairs: pairs.csv}\n")
    assert table.manifest.pairing.pairs == "pairs.csv"


# What is added as line 5 -> the field at fault, and what its message says.
WRONG_LINE_5 = [
    ("sed: 4", "sed", "unknown field, did you mean seed?"),
    ("colour: red", "colour", "expected one of augment, content, fidelity, max_pixels, name"),
    ("styles: [{pth: a, path: a}]", "styles[0].pth", "did you mean path? Expected one of path, we"),
    ("output: {path: a}", "output", "given twice"),
    ("seed: seven", "seed", "expected a valid integer, got 'seven'"),
    ("seed: 1.5", "seed", "expected a valid integer, got 1.5"),
    ("seed: -1", "seed", "greater than or equal to 0, got -1"),
    ("seed: 9223372036854775808", "seed", "less than 9223372036854775808"),
    ("seed: true", "seed", "expected a valid integer"),
    ("styles: paintings", "styles", "expected a list, got 'paintings'"),
    ("styles: [paintings]", "styles[0]", "expected a valid dictionary"),
    ("styles: [{weight: 2}]", "styles[0].path", "is required"),
    ("styles: [{path: ''}]", "styles[0].path", "at least 1 character"),
    ("styles: [{path: 5}]", "styles[0].path", "expected a valid string, got 5"),
    ("styles: [{path: a}, {path: a, weight: 0}]", "styles[1].weight", "greater than 0, got 0"),
    ("styles: [{path: a, weight: heavy}]", "styles[0].weight", "expected a valid number"),
    ("styles: [{path: a, weight: .inf}]", "styles[0].weight", "finite"),
    ("styles: [{path: a, weight: .nan}]", "styles[0].weight", "got nan"),
    ("pairing: {strategy: best}", "pairing.strategy", "'random', 'all', 'zip' or 'listed'"),
    ("pairing: {styles_per_content: 0}", "pairing.styles_per_content", "or equal to 1, got 0"),
    ("pairing: {strategy: zip, styles_per_content: 2}", "pairing", "belongs to strategy random"),
    ("pairing: {strategy: listed}", "pairing", "listed needs it"),
    ("pairing: {pairs: pairs.csv}", "pairing", "belongs to strategy listed"),
    ("pairing: {strategy: listed, pairs: [{content: a}]}", "pairing.pairs[0].style", "is required"),
    ("stylize: fast", "stylize", "expected a valid dictionary"),
    (
        "stylize: {size: 8}",
        "stylize.size",
        "expected a whole number >= 16 and <= 8192, or original",
    ),
    (
        "stylize: {size: 10000}",
        "stylize.size",
        "expected a whole number >= 16 and <= 8192, or original, got 10000",
    ),
    ("stylize: {size: 256.0}", "stylize.size", "expected a whole number >= 16"),
    ("stylize: {strength: 2}", "stylize.strength", "a number in 0..1, or [low, high]"),
    ("stylize: {strength: [0.9, 0.1]}", "stylize.strength", "low <= high"),
    ("stylize: {strength: [0.1, 0.2, 0.3]}", "stylize.strength", "[low, high]"),
    ("stylize: {strength: true}", "stylize.strength", "a number in 0..1"),
    ("stylize: {strength: .nan}", "stylize.strength", "a number in 0..1"),
    (
        "stylize: {preserve_color: 1}",
        "stylize.preserve_color",
        "expected false, luminance (or true) or match, got 1",
    ),
    ("stylize: {encoder: 19}", "stylize.encoder", "expected a valid string"),
    ("stylize: {override: 5}", "stylize.override", "expected a valid dictionary"),
    ("augment: {include_original: 0}", "augment.include_original", "expected a valid boolean"),
    ("augment: {variants: {original: -1}}", "augment.variants.original", "equal to 0, got -1"),
    ("augment: {variants: {original: 10001}}", "augment.variants.original", "equal to 10000"),
    ("augment: {recipes: {a b: [{Flip: {}}]}}", "augment.recipes.a b", "got 'a b'"),
    ("augment: {recipes: {a: []}}", "augment.recipes.a", "expected a list of"),
    (
        "augment: {recipes: {a: [{Flip: {}, Turn: {}}]}}",
        "augment.recipes.a",
        "one transform an entry",
    ),
    ("augment: {recipes: {a: [Flip]}}", "augment.recipes.a[0]", "expected a valid dictionary"),
    ("augment: {recipes: {a: [{Flip: }]}}", "augment.recipes.a[0].Flip", "expected a valid dict"),
    ("stylize: {? [size] : 5}", "stylize", "text as key"),
    ("1: 2", "", "text as key"),
    ("~: 2", "", "text as key"),
    ("true: 2", "", "text as key"),
    ("<<: 3", "", "text as key"),
    ("augment: {recipes: {~: [{Flip: {}}]}}", "augment.recipes", "text as key"),
    ("styles: [{path: a, weight: true}]", "styles[0].weight", "valid number, got True"),
    ("styles: [{path: a, weight: '2'}]", "styles[0].weight", "valid number, got '2'"),
]


@pytest.mark.parametrize(("line", "field", "message"), WRONG_LINE_5, ids=lambda value: value[:40])
def test_a_wrong_field_is_named_with_its_line(
    tmp_path: Path, line: str, field: str, message: str
) -> None:
    place, at_fault, said = only_problem_of(tmp_path, f"{SMALLEST}{line}\n")
    assert (place, at_fault) == (5, field)
    assert message in said


# What of the smallest manifest is replaced by what -> line, field, message.
WRONG_ELSEWHERE = [
    ("version: 1", "version: 2", 1, "version", "expected 1, got 2"),
    ("version: 1", "version: '1'", 1, "version", "expected 1, got '1'"),
    ("version: 1", "version: true", 1, "version", "expected 1, got True"),
    ("version: 1", "# none", 2, "version", "is required"),
    ("name: small", "name: a/b", 2, "name", "letters, digits, '_', '.', '-'"),
    ("name: small", "name: .hidden", 2, "name", "no leading '.'"),
    ("name: small", "name: ''", 2, "name", "letters, digits"),
    ("name: small", "name: [a]", 2, "name", "letters, digits"),
    ("[{path: photos}]", "[]", 3, "content", "at least 1 item"),
    ("[{path: photos}]", "{path: photos}", 3, "content", "expected a list"),
    ("photos}", "photos, split: ../x}", 3, "content[0].split", "got '../x'"),
    ("photos}", "photos, split: 'a b'}", 3, "content[0].split", "got 'a b'"),
    ("{path: out}", "out", 4, "output", "expected a valid dictionary"),
    ("{path: out}", "{}", 4, "output.path", "is required"),
    ("out}", "out, format: coko}", 4, "output.format[0]", "expected 'imagefolder', 'coco'"),
    ("out}", "out, image: {type: gif}}", 4, "output.image.type", "'jpeg', 'png' or 'webp'"),
    ("out}", "out, image: {quality: 101}}", 4, "output.image.quality", "equal to 100, got 101"),
    ("out}", "out, splits: []}", 4, "output.splits", "at least 1 item"),
    ("out}", "out, splits: [a, b/c]}", 4, "output.splits[1]", "got 'b/c'"),
]


@pytest.mark.parametrize(
    ("right", "wrong", "line", "field", "message"), WRONG_ELSEWHERE, ids=lambda value: str(value)
)
def test_a_wrong_value_is_named_with_its_line(
    tmp_path: Path, right: str, wrong: str, line: int, field: str, message: str
) -> None:
    place, at_fault, said = only_problem_of(tmp_path, SMALLEST.replace(right, wrong))
    assert (place, at_fault) == (line, field)
    assert message in said


NO_MANIFEST = {
    "empty": ("", 1, "expected a mapping"),
    "only a comment": ("# nothing\n", 1, "expected a mapping"),
    "a list": ("- version: 1\n", 1, "expected a mapping"),
    "a word": ("gramflow\n", 1, "expected a mapping"),
    "a ring": ("&a [*a]\n", 1, "is a YAML alias"),
    "an alias": (SMALLEST + "styles:\n  - &a {path: b}\n  - *a\n", 7, "is a YAML alias"),
    "no YAML": (SMALLEST + "seed: [1\n", 6, "is not YAML"),
    "two colons": (SMALLEST + "seed: a: b\n", 5, "see its indents, and put odd text in quotes"),
    "a tab": (SMALLEST + "stylize:\n\tsize: 5\n", 6, "is not YAML"),
    "unknown anchor": (SMALLEST + "seed: *a\n", 5, "is a YAML alias"),
    "two documents": (SMALLEST + "---\n" + SMALLEST, 5, "single document"),
    "python object": (SMALLEST + "seed: !!python/object:os.x {}\n", 5, "python/object"),
    "control character": (SMALLEST + "seed: \x01\n", None, "expected a YAML manifest, as text"),
    "UTF-16": (SMALLEST.encode("utf-16"), None, "is not UTF-8 text (byte 0)"),
    "Latin-1": (SMALLEST.replace("small", "é").encode("latin-1"), None, "is not UTF-8"),
    "deep list": ("[" * 100_000, None, "nested too deeply"),
    "deep mapping": ("{a: " * 100_000, None, "nested too deeply"),
    "month 13": (SMALLEST + "seed: 2001-13-01\n", None, "month"),
}


@pytest.mark.parametrize("name", NO_MANIFEST)
def test_what_is_no_manifest_is_one_problem(tmp_path: Path, name: str) -> None:
    text, line, message = NO_MANIFEST[name]
    place, field, said = only_problem_of(tmp_path, text)
    assert (place, field) == (line, "")
    assert message in said


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.yaml: No such file or directory"):
        read_manifest(tmp_path / "none.yaml")


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="directory"):
        read_manifest(tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "job.yaml").open("wb") as sparse:
        sparse.truncate(65 * 2**20)
    with pytest.raises(ManifestError, match="larger than 1 MiB"):
        read_manifest(tmp_path / "job.yaml")


def test_all_problems_come_at_once_in_line_order(tmp_path: Path) -> None:
    text = """\
stylize:
  size: 4
  strength: 7
version: 2
content:
  - path: photos
    split: a b
  - pth: more
sed: 1
output: {path: out}
augment:
  recipes:
    turn:
      - Rotate: 15
"""
    found = [(problem.line, problem.field) for problem in problems_of(tmp_path, text)]
    assert found == [
        (1, "name"),
        (2, "stylize.size"),
        (3, "stylize.strength"),
        (4, "version"),
        (7, "content[0].split"),
        (8, "content[1].path"),
        (8, "content[1].pth"),
        (9, "sed"),
        (14, "augment.recipes.turn[0].Rotate"),
    ]


def test_all_doubled_keys_come_at_once(tmp_path: Path) -> None:
    text = SMALLEST + "seed: 1\nseed: 2\nname: b\n"
    found = [(problem.line, problem.field) for problem in problems_of(tmp_path, text)]
    assert found == [(6, "seed"), (7, "name")]


def test_the_error_reads_as_one_line_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, SMALLEST + "seed: -1\nsed: 2\n")
    first, second = str(caught.value).splitlines()
    assert first == f"{tmp_path / 'job.yaml'}:5: seed: expected greater than or equal to 0, got -1"
    assert second.startswith(f"{tmp_path / 'job.yaml'}:6: sed: unknown field")


def test_relative_paths_are_relative_to_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "jobs"
    inside.mkdir()
    (inside / "job.yaml").write_text(SMALLEST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    manifest = read_manifest(Path("jobs/job.yaml"))
    monkeypatch.chdir(inside)
    assert manifest.resolve("photos/a.png") == inside / "photos/a.png"
    assert manifest.resolve("/elsewhere") == Path("/elsewhere")
    assert manifest.resolve("~/photos") == tmp_path / "home" / "photos"


@pytest.mark.parametrize(
    ("field", "line", "dotted"),
    [
        (("augment", "recipes", "light"), 12, "augment.recipes.light"),
        (("augment", "recipes", "light", 0, "Nothing"), 12, "augment.recipes.light[0].Nothing"),
        (("content", 0, "path"), 4, "content[0].path"),
        (("stylize", "weights"), 7, "stylize.weights"),
    ],
)
def test_later_problems_are_placed_too(
    tmp_path: Path, field: tuple[str | int, ...], line: int, dotted: str
) -> None:
    problem = read(tmp_path, STREET_PAINTED).problem(field, "is wrong")
    assert (problem.line, problem.field, problem.message) == (line, dotted, "is wrong")


@pytest.mark.parametrize(
    "value",
    [
        "!!timestamp someday",
        "!!bool perhaps",
        "!!int ''",
        "!!float ''",
        r'"\U00110000"',
        r'"\UFFFFFFFF"',
        "9" * 5000,
    ],
    ids=lambda value: value[:20],
)
def test_values_that_yaml_cannot_build_are_problems(tmp_path: Path, value: str) -> None:
    problems_of(tmp_path, f"{SMALLEST}seed: {value}\n")


def test_a_directive_that_yaml_cannot_read_is_a_problem(tmp_path: Path) -> None:
    problems_of(tmp_path, f"%YAML 1.{'1' * 5000}\n---\n{SMALLEST}")


@pytest.mark.parametrize(
    ("right", "nothing", "field"),
    [
        ("name: small", "name:", "name"),
        ("path: photos}", "path: photos, split: }", "content[0].split"),
        ("path: out}", "path: out, splits: [~]}", "output.splits[0]"),
    ],
)
def test_nothing_is_no_name(tmp_path: Path, right: str, nothing: str, field: str) -> None:
    found = [problem.field for problem in problems_of(tmp_path, SMALLEST.replace(right, nothing))]
    assert len(found) == 1
    assert found[0].startswith(field)


@pytest.mark.parametrize("name", ["str", "constrained", "function-after"])
def test_a_recipe_may_have_any_name_and_is_named_in_problems(tmp_path: Path, name: str) -> None:
    text = SMALLEST + f"augment:\n  recipes:\n    fine: [{{Flip: {{}}}}]\n    {name}: 5\n"
    line, field, _ = only_problem_of(tmp_path, text)
    assert (line, field) == (8, f"augment.recipes.{name}")
