"""Values of the manifest in the words of JSON Schema, for those that functions check.

An encoder, a preset and its fields are for nst_core to judge, which this room does not import; what
stands here is what editors offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Values = dict[str, Any]

SMALLEST, LARGEST = 16, 8192
PLAIN_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"

_PLAIN: Values = {"type": "string", "pattern": f"^{PLAIN_NAME}$"}
_NOT_NEGATIVE: Values = {"type": "number", "minimum": 0}
_SHARE: Values = {"type": "number", "minimum": 0, "maximum": 1}
_TWO_SHARES: Values = {"type": "array", "items": _SHARE, "minItems": 2, "maxItems": 2}
_OF_LAYERS: Values = {"type": "object", "additionalProperties": _NOT_NEGATIVE}

# A folder named 2024 is a whole number in YAML.
NAME: Values = {"anyOf": [_PLAIN, {"type": "integer", "minimum": 0}]}
SPLIT: Values = {"anyOf": [*NAME["anyOf"], {"const": ""}]}
SIZE: Values = {
    "anyOf": [
        {"type": "integer", "minimum": SMALLEST, "maximum": LARGEST},
        {"enum": ["original", None]},
    ]
}
STRENGTH: Values = {"anyOf": [_SHARE, _TWO_SHARES]}
COLOR_WAY: Values = {"enum": [False, True, "luminance", "match", "no"]}
ENCODER: Values = {"enum": ["compact", "vgg19", "vgg16", "random"]}
PRESET: Values = {"enum": ["fast", "gatys2016", "report2019"]}
OVERRIDE: Values = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": SMALLEST},
        "pooling": {"enum": ["average", "max"]},
        "initial": {"enum": ["content", "noise", "style"]},
        "optimiser": {"enum": ["adam", "lbfgs", "sgd"]},
        "learning_rate": {"type": "number", "exclusiveMinimum": 0},
        "adam_betas": _TWO_SHARES,
        "scales": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            "minItems": 1,
        },
        "least_fall": _SHARE,
        "style_shape": {"enum": ["long_side", "content"]},
        "content_layers": _OF_LAYERS,
        "style_layers": _OF_LAYERS,
        "content_weight": _NOT_NEGATIVE,
        "style_weight": _NOT_NEGATIVE,
        "total_variation_weight": _NOT_NEGATIVE,
        "content_error": {"enum": ["mean", "relative"]},
        "style_error": {"enum": ["mean", "mean_per_feature", "relative"]},
        "pixels": {"enum": ["rgb", "imagenet"]},
        "precision": {"enum": ["auto", "fp32", "tf32", "bf16"]},
    },
    "additionalProperties": False,
}
RECIPES: Values = {
    "type": "object",
    "propertyNames": {"pattern": _PLAIN["pattern"]},
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": {"type": "object"},
            "minProperties": 1,
            "maxProperties": 1,
        },
        "minItems": 1,
    },
}


def one_or_several(names: Sequence[str]) -> Values:
    """One of the names, or a list of them."""
    one: Values = {"enum": [*names]}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
