"""On a CUDA device: what a CPU cannot show. Skipped where there is none."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nst_core.batch import Batch
from nst_core.encoder import Encoder
from nst_core.loading import load_encoder
from nst_core.optimisation import Progress
from nst_core.pairs import Pair, Style, StylizedPair
from nst_core.presets import Preset
from nst_core.stylizer import Stylizer
from tests.nst_core.tiny import pictures, preset

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

SIZE = (64, 96)
# Steady steps: so that rounding does not grow into another picture.
STEADY: dict[str, Any] = {"adam_betas": [0.9, 0.999], "learning_rate": 0.01, "pixels": "imagenet"}


@pytest.fixture(params=["random", "compact"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return load_encoder(request.param)


def pairs_of(count: int) -> list[Pair]:
    content, style = pictures(count, *SIZE), pictures(count, 60, 50, seed=1)
    return [Pair(content[i], (Style(style[i]),), strength=1 - 0.1 * i) for i in range(count)]


def results(
    encoder: Encoder, chosen: Preset, pairs: list[Pair], device: str = "cuda", **arguments: Any
) -> list[StylizedPair]:
    done = dict(Stylizer(encoder, chosen, device).each(pairs, **arguments))
    return [done[index] for index in range(len(pairs))]


class Eager:
    """In place of a graph: the step itself."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def replay(self) -> None:
        self._batch._step()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_graph_makes_the_steps_that_it_was_captured_from(
    precision: str, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = preset(scales=[[0.5, 12], [1.0, 25]], precision=precision, **STEADY)
    captured = results(encoder, chosen, pairs_of(3))
    monkeypatch.setattr(Batch, "_captured", lambda self: Eager(self))
    for ours, theirs in zip(captured, results(encoder, chosen, pairs_of(3))):
        torch.testing.assert_close(ours.image, theirs.image, rtol=0, atol=1e-3)
        assert ours.end["total"] == pytest.approx(theirs.end["total"], rel=1e-3)


def test_refilled_places_of_a_graph_are_as_good_as_new_ones(encoder: Encoder) -> None:
    chosen = preset(20, precision="fp32", **STEADY)
    refilled = results(encoder, chosen, pairs_of(5), batch=2)
    for ours, theirs in zip(refilled, results(encoder, chosen, pairs_of(5), batch=5)):
        torch.testing.assert_close(ours.image, theirs.image, rtol=0, atol=1e-3)


def test_a_pair_does_not_notice_its_batch(encoder: Encoder) -> None:
    chosen = preset(50, precision="fp32", **STEADY)
    pairs = pairs_of(4)
    for pair, ours in zip(pairs, results(encoder, chosen, pairs, batch=4)):
        (alone,) = results(encoder, chosen, [pair])
        torch.testing.assert_close(ours.image, alone.image, rtol=0, atol=1e-4)


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_the_device_ends_at_the_loss_of_the_cpu(optimiser: str, encoder: Encoder) -> None:
    rate = 1.0 if optimiser == "lbfgs" else 0.01
    chosen = preset(
        40, precision="fp32", **{**STEADY, "optimiser": optimiser, "learning_rate": rate}
    )
    for ours, theirs in zip(
        results(encoder, chosen, pairs_of(2)), results(encoder, chosen, pairs_of(2), "cpu")
    ):
        assert ours.end["total"] == pytest.approx(theirs.end["total"], rel=0.03)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precision_ends_at_the_loss_of_float32(precision: str, encoder: Encoder) -> None:
    ends = [
        results(encoder, preset(60, precision=one, **STEADY), pairs_of(1))[0].end["total"]
        for one in ("fp32", precision)
    ]
    assert ends[1] == pytest.approx(ends[0], rel=0.03)


def test_losses_are_heard_every_10_iterations() -> None:
    heard: list[Progress] = []
    results(load_encoder("random"), preset(25), pairs_of(2), on_progress=heard.append)
    assert [one.iterations for one in heard] == [(10, 10), (20, 20), (25, 25)]


def test_a_listener_that_looks_changes_nothing_and_sees_what_comes_out() -> None:
    last: dict[int, Tensor] = {}

    def listen(one: Progress) -> None:
        last.update((pair, one.image(pair)) for pair in one.pairs)
        for place, total in enumerate(one.total_loss):
            terms = one.content_term[place], one.style_term[place], one.total_variation_term[place]
            assert sum(terms) == pytest.approx(total, rel=1e-4)

    arguments = load_encoder("random"), preset(25, **STEADY), pairs_of(2)
    plain, seen = results(*arguments), results(*arguments, on_progress=listen)
    for index, done in enumerate(seen):
        assert not last[index].is_cuda
        assert torch.equal(last[index], done.image)
        torch.testing.assert_close(done.image, plain[index].image, rtol=0, atol=1e-4)


def test_more_pairs_than_fit_are_all_done() -> None:
    free_bytes, _ = torch.cuda.mem_get_info()
    # All but 2 GB are taken away.
    ballast = torch.empty(max(0, free_bytes - 2 * 2**30), dtype=torch.uint8, device="cuda")
    content = pictures(1, 512, 512)[0]
    pairs = [Pair(content, (Style(content),))] * 48
    stylizer = Stylizer(load_encoder("compact"), preset(2, size=512), "cuda")
    assert sorted(index for index, _ in stylizer.each(pairs, batch=48)) == list(range(48))
    del ballast
    assert stylizer._fitting.limit(stylizer._scales(512, 512)[-1], 48) < 48
