"""Pascal VOC datasets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manifests.labels import Category, Object
from tests.manifests.listing import add_photos, listed, only_image, problems

ENTRY = {"path": "d"}

DOG = """\
  <object>
    <name>dog</name>
    <pose>Left</pose>
    <truncated>1</truncated>
    <difficult>0</difficult>
    <bndbox><xmin>1</xmin><ymin>3</ymin><xmax>48</xmax><ymax>10.5</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>2</xmin></bndbox></part>
    <part><name>foot</name></part>
    <attributes></attributes>
  </object>
"""
SIZE = "  <size><width>48</width><height>40</height><depth>3</depth></size>\n"


def xml(*objects: str, size: str = SIZE, filename: str = "a.png") -> str:
    name = f"  <filename>{filename}</filename>\n"
    return f"<annotation>\n{name}{size}{''.join(objects)}</annotation>\n"


def write(folder: Path, names: str = "a", text: str = xml(DOG)) -> None:
    """Photographs of those letters, each with that XML."""
    for name in names:
        add_photos(folder, f"d/JPEGImages/{name}.png")
        file = folder / "d" / "Annotations" / f"{name}.xml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


def write_lists(folder: Path, **lists: str) -> None:
    (folder / "d" / "ImageSets" / "Main").mkdir(parents=True)
    for name, rows in lists.items():
        (folder / "d" / "ImageSets" / "Main" / f"{name}.txt").write_text(rows)


def splits(folder: Path, **entry: str) -> list[tuple[str, str]]:
    return [(one.inside, one.split) for one in listed(folder, ENTRY | entry).images]


def test_boxes_count_from_one_and_include_their_last_pixel(tmp_path: Path) -> None:
    write(tmp_path)
    image = only_image(tmp_path, ENTRY)
    (dog,) = image.labels.objects
    assert dog.box == (0, 2, 48, 10.5)
    assert (image.labels.width, image.labels.height) == (48, 40)
    assert (image.name, image.inside, image.split) == ("d/JPEGImages/a.png", "a.png", "train")


def test_other_tags_of_an_object_are_passed_through(tmp_path: Path) -> None:
    write(tmp_path)
    (dog,) = only_image(tmp_path, ENTRY).labels.objects
    assert json.loads(dog.extras) == {
        "pose": "Left",
        "truncated": 1,
        "difficult": 0,
        "part": [{"name": "head", "bndbox": {"xmin": 2}}, {"name": "foot"}],
        "attributes": "",
    }


def test_categories_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, text=xml(DOG, DOG.replace("dog", "cat")))
    assert listed(tmp_path, ENTRY).categories == (Category("cat"), Category("dog"))


def test_without_a_size_boxes_are_pixels_of_the_image(tmp_path: Path) -> None:
    write(tmp_path, text=xml(DOG, size=""))
    labels = only_image(tmp_path, ENTRY).labels
    assert (labels.width, labels.height) == (0, 0)
    assert labels.objects == only_image(tmp_path, ENTRY).labels.objects


def test_the_xml_names_the_image_where_none_has_its_own_name(tmp_path: Path) -> None:
    write(tmp_path, text=xml(DOG, filename="other.png"))
    assert only_image(tmp_path, ENTRY).inside == "a.png"
    (tmp_path / "d" / "JPEGImages" / "a.png").rename(tmp_path / "d" / "JPEGImages" / "other.png")
    assert only_image(tmp_path, ENTRY).inside == "other.png"


def test_lists_say_the_splits(tmp_path: Path) -> None:
    write(tmp_path, "abcde")
    write_lists(tmp_path, train="a\nb\n", val="c\n", trainval="a\nb\nc\n", dog_train="a 1\nb -1\n")
    assert splits(tmp_path) == [("a.png", "train"), ("b.png", "train"), ("c.png", "val")]
    assert splits(tmp_path, split="val") == [("c.png", "val")]
    assert splits(tmp_path, split="trainval") == [(f"{name}.png", "trainval") for name in "abc"]


def test_trainval_counts_where_its_halves_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, "ab")
    write_lists(tmp_path, trainval="a\n", test="b\n")
    assert splits(tmp_path) == [("b.png", "test"), ("a.png", "trainval")]


@pytest.mark.parametrize(("half", "other"), [("train", "val"), ("val", "train")])
def test_trainval_tells_the_half_that_has_no_list(tmp_path: Path, half: str, other: str) -> None:
    write(tmp_path, "abcd")
    write_lists(tmp_path, **{half: "a\n"}, trainval="a\nb\nd\n", test="c\nd\n", dog_val="b 1\n")
    of = {"a.png": half, "b.png": other, "c.png": "test", "d.png": "test"}
    assert dict(splits(tmp_path)) == of
    assert splits(tmp_path, split=other) == [("b.png", other)]
    assert splits(tmp_path, split="trainval") == [(f"{name}.png", "trainval") for name in "abd"]
    (problem,) = problems(tmp_path, ENTRY | {"split": "dev"})
    assert problem.endswith(f"split can be {', '.join([*sorted(['test', half]), other])}")


def test_without_lists_the_split_is_that_of_the_manifest(tmp_path: Path) -> None:
    write(tmp_path, "ab")
    assert splits(tmp_path, split="val") == [("a.png", "val"), ("b.png", "val")]


def test_folders_inside_folders_are_read(tmp_path: Path) -> None:
    write(tmp_path)
    add_photos(tmp_path, "d/JPEGImages/x/b.png")
    (tmp_path / "d" / "Annotations" / "x").mkdir()
    (tmp_path / "d" / "Annotations" / "x" / "b.xml").write_text(xml())
    assert [one.inside for one in listed(tmp_path, ENTRY).images] == ["a.png", "x/b.png"]


BOX = "<bndbox><xmin>1</xmin><ymin>3</ymin><xmax>48</xmax><ymax>10.5</ymax></bndbox>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (xml(DOG, DOG.replace("48<", "nan<")), "14: object[1] (dog): expected xmax, a finite num"),
        (xml(DOG.replace("10.5", "x")), "4: object[0] (dog): expected ymax, a finite number, got"),
        (xml(DOG.replace(BOX, "")), "4: object[0] (dog): expected bndbox with xmin, ymin, xmax"),
        (xml(DOG.replace("<name>dog</name>", "")), "4: object[0] (): expected the name of a categ"),
        (
            xml(size=SIZE.replace("48", "-1")),
            "1: size: expected width and height in pixels, got -1",
        ),
        (xml(size=SIZE.replace("48", "wide")), "1: size: expected width, a finite number, got 'wi"),
        ("<annotation>\n<object></annotation>", "2: is not XML: mismatched tag"),
        ("", "1: is not XML: no element found"),
        ("<a>" * 100_000, "1: is not XML: more than 32 elements inside each other"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "1: is not XML"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "1: declares entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "1: declares entit"),
    ],
)
def test_what_is_wrong_with_an_xml_is_named_with_its_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    write(tmp_path, text=text)
    (problem,) = problems(tmp_path, ENTRY)
    assert problem.startswith(f"d/Annotations/a.xml:{expected}")


def test_an_entity_bomb_is_refused_at_once(tmp_path: Path) -> None:
    bomb = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    write(tmp_path, text=f'<!DOCTYPE a [<!ENTITY l0 "ha">{bomb}]><annotation>&l11;</annotation>')
    (problem,) = problems(tmp_path, ENTRY)
    assert "a.xml:1: declares entities" in problem


def test_files_that_have_no_other_half_are_all_named(tmp_path: Path) -> None:
    write(tmp_path, "abc", text=xml(filename=""))
    for gone in ("JPEGImages/a.png", "Annotations/b.xml"):
        (tmp_path / "d" / gone).unlink()
    write_lists(tmp_path, train="a\nb\nc\nc\n../x\n")
    assert [one.partition(" got")[0] for one in problems(tmp_path, ENTRY)] == [
        "d/ImageSets/Main/train.txt:4: 'c' is in line 3, too",
        "d/ImageSets/Main/train.txt:5: expected a file name that stays inside d/ImageSets/Main,",
        "d/Annotations/a.xml:2: filename: there is no image '' in JPEGImages",
        "d/ImageSets/Main/train.txt:2: there is no d/Annotations/b.xml for 'b'",
    ]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.png"])
def test_a_name_that_leads_out_of_the_dataset_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, text=xml(filename=name))
    (tmp_path / "d" / "JPEGImages" / "a.png").unlink()
    (problem,) = problems(tmp_path, ENTRY)
    assert "a.xml:2: filename: expected a file name that stays inside" in problem


def test_two_images_of_one_xml_are_a_problem(tmp_path: Path) -> None:
    write(tmp_path)
    add_photos(tmp_path, "d/JPEGImages/a.jpg")
    assert problems(tmp_path, ENTRY) == [
        "d/JPEGImages/a.png: has a.jpg, too; one XML file is of one image"
    ]


def test_a_list_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write(tmp_path)
    write_lists(tmp_path, train="a\n", val="a\n")
    (problem,) = problems(tmp_path, ENTRY | {"split": "test"})
    assert problem.endswith("there is no d/ImageSets/Main/test.txt; split can be train, val")


def test_an_image_without_objects_is_an_image(tmp_path: Path) -> None:
    write(tmp_path, text=xml())
    assert only_image(tmp_path, ENTRY).labels.objects == ()


def test_objects_keep_the_order_of_their_file(tmp_path: Path) -> None:
    names = [f"n{index}" for index in range(20)]
    write(tmp_path, text=xml(*(DOG.replace("dog", name) for name in names)))
    found: tuple[Object, ...] = only_image(tmp_path, ENTRY).labels.objects
    assert [one.category for one in found] == names
