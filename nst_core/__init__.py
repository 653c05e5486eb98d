"""Neural style transfer, tensors in and tensors out (Gatys, Ecker & Bethge 2016). Pure PyTorch."""

from nst_core.encoder import Encoder
from nst_core.loading import ENCODERS, EncoderUnavailable, load_encoder
from nst_core.losses import (
    content_loss,
    gram_matrix,
    style_loss,
    total_loss,
    total_variation_loss,
)
from nst_core.objective import PairLosses
from nst_core.optimisation import Progress
from nst_core.pairs import Pair, PreserveColor, Style, StylizedPair
from nst_core.presets import PRESETS, Preset, Scale, resolve_preset
from nst_core.style_grams import StyleGrams
from nst_core.stylizer import Stylized, Stylizer

__all__ = [
    "ENCODERS",
    "PRESETS",
    "Encoder",
    "EncoderUnavailable",
    "Pair",
    "PairLosses",
    "PreserveColor",
    "Preset",
    "Progress",
    "Scale",
    "Style",
    "StyleGrams",
    "Stylized",
    "StylizedPair",
    "Stylizer",
    "content_loss",
    "gram_matrix",
    "load_encoder",
    "resolve_preset",
    "style_loss",
    "total_loss",
    "total_variation_loss",
]
