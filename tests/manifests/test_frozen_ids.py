"""Ids that datasets out there have: code may become quicker, ids stay."""

from __future__ import annotations

from pathlib import Path

import yaml

from manifests.facts import FactsCache
from manifests.identity import canonical_json, digest, pair_id, seed_of, source_id, variant_id
from manifests.plan import Engine, Plan
from manifests.reading import read_manifest
from manifests.sources import list_content

A, B = bytes(range(32)), bytes(range(32, 64))

ROWS = [
    {"path": "photos/a.png", "label": "cät (1)'s", "split": "train"},
    {"path": "photos/b.png", "label": "dog", "split": "train", "group_id": "scene 1"},
    {"path": "photos/c.png", "split": "val"},
    {
        "path": "photos/d.png",
        "split": "train",
        "objects": {"bbox": [[1, 2, 30.5, 40.25]], "categories": ["car"]},
    },
]


def frozen_plan(folder: Path) -> Plan:
    """Ids depend on bytes and the manifest, not on whether the bytes are an image."""
    for kind, names in (("photos", "abcd"), ("styles", "st")):
        (folder / kind).mkdir()
        for name in names:
            (folder / kind / f"{name}.png").write_bytes(f"{kind} {name}".encode())
    (folder / "list.jsonl").write_text("\n".join(map(canonical_json, ROWS)))
    described = {
        "version": 1,
        "name": "frozen",
        "seed": 7,
        "content": [{"path": "list.jsonl"}],
        "styles": [{"path": "styles"}],
        "pairing": {"strategy": "all"},
        "stylize": {"strength": [0.2, 0.9]},
        "fidelity": {"min": 0.4, "action": "retry"},
        "augment": {
            "recipes": {
                "mirror": [{"HorizontalFlip": {"p": 1.0}}],
                "turn": [{"Rotate": {"limit": [-5, 15], "p": 0.5}}, {"Blur": {}}],
            },
            "variants": {"original": 2, "stylized": 3},
            "min_visibility": 0.1,
        },
        "output": {"path": "out"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    read = read_manifest(folder / "job.yaml")
    facts = FactsCache(folder / "facts.sqlite")
    engine = Engine("random", "e" * 64, "fast", {"style_weight": 5.0, "scales": [[1.0, 2]]}, 48)
    plan = Plan(read, list_content(read), engine, facts)
    facts.close()
    return plan


def test_ids_of_their_parts_stay() -> None:
    assert source_id(A) == "iptnfqqocsngh3cx4rm7ou4wox"
    parameters = canonical_json({"strength": 0.5})
    assert pair_id(A, B, parameters, "e", 3) == "gedrxv7j2hnq5ddnhekfzqtvlr"
    recipe = canonical_json(["flip", [{"Flip": {"p": 0.5}}]])
    varied = variant_id("base", recipe, 12, 3, canonical_json(["jpeg", 95, "train", None]))
    assert varied == "gkuesmujujevqrri4duep5py73"
    assert variant_id("base", "null", 0, None, "[]") == "rbv2sdp7pbmw3cbquhmutoshho"
    assert digest("content", A.hex(), 48) == "2ohvbzmyrkjkeqjjf62bvg2ze3"
    assert seed_of("id") == 8805077748204080968


def test_ids_of_a_plan_stay(tmp_path: Path) -> None:
    bases = list(frozen_plan(tmp_path).bases())
    names = [base.variants[-1].file.rpartition("/")[2] for base in bases]
    assert [(base.id, base.strength, name) for base, name in zip(bases, names)] == [
        ("mramcgirqtv3kpoycbxjvox6rs", 0.0, "a-augmented-zlolrwtthvst.jpg"),
        ("4ouaoaozoomyms7gxff3mtnj5e", 0.757, "a-stylized_augmented-cfgpbecd6nqa.jpg"),
        ("aykzsnffl4mbljeirzcd6jg7jz", 0.695, "a-stylized_augmented-qd2j52res6r3.jpg"),
        ("wen7uv3qtnhkghl3okwtzgfgsy", 0.0, "b-augmented-nhxnltna3dvd.jpg"),
        ("f6grmuc6mp3sm3ysru6huv5kdx", 0.33, "b-stylized_augmented-odubwcl52nfl.jpg"),
        ("xwoweuqomm5wgs555sq75hmr3u", 0.414, "b-stylized_augmented-kqjvnqet4kjo.jpg"),
        ("md6m4phctrcf3z7md2stwbqzmk", 0.0, "c-original-z23sq4wa6eed.jpg"),
        ("viilshcovvfgmezlcf45rxlshn", 0.0, "d-augmented-kucmelp3tj26.jpg"),
        ("geny56mae7kwtacq3xkpgnrzev", 0.704, "d-stylized_augmented-doozyqzoubq7.jpg"),
        ("s6kzjijy3wgmnnxnjnwpyofmi2", 0.791, "d-stylized_augmented-ei4ny4cpkh2f.jpg"),
    ]
    variants = [variant for base in bases for variant in base.variants]
    assert len(variants) == 58
    assert digest(*((one.id, one.file) for one in variants)) == "r5ycwgsbucf6booy7cw5sgvnj4"
