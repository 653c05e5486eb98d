"""Pairs that share a batch: none notices the others, and none is lost."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nst_core.encoder import Encoder
from nst_core.loading import load_encoder
from nst_core.optimisation import Progress
from nst_core.pairs import Pair, Style, StylizedPair
from nst_core.presets import Preset
from nst_core.stylizer import Stylizer
from tests.nst_core.tiny import pictures, preset

RATES = {"adam": 0.03, "lbfgs": 1.0, "sgd": 0.01}


def pairs_of(count: int, **changes: Any) -> list[Pair]:
    content, style = pictures(count), pictures(count, 40, 24, seed=1)
    return [
        Pair(content[i], (Style(style[i]),), strength=1 - 0.1 * i, seed=i, **changes)
        for i in range(count)
    ]


def results(
    encoder: Encoder, chosen: Preset, pairs: list[Pair], batch: int | None = None
) -> list[StylizedPair]:
    done = dict(Stylizer(encoder, chosen).each(pairs, batch=batch))
    assert sorted(done) == list(range(len(pairs)))
    return [done[index] for index in range(len(pairs))]


def assert_same(ours: list[StylizedPair], theirs: list[StylizedPair], atol: float) -> None:
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one.image, other.image, rtol=0, atol=atol)
        assert one.end == pytest.approx(other.end, rel=1e-4)
        assert one.start == pytest.approx(other.start, rel=1e-4)
        assert (one.iterations, one.stop_reason) == (other.iterations, other.stop_reason)


@pytest.mark.parametrize("name", ["random", "compact"])
@pytest.mark.parametrize("optimiser", RATES)
def test_in_float32_50_iterations_in_a_batch_are_50_alone(name: str, optimiser: str) -> None:
    chosen = preset(50, optimiser=optimiser, learning_rate=RATES[optimiser])
    encoder, pairs = load_encoder(name), pairs_of(3)
    alone = [results(encoder, chosen, [pair])[0] for pair in pairs]
    assert_same(results(encoder, chosen, pairs, batch=3), alone, atol=1e-4)


@pytest.mark.parametrize("optimiser", RATES)
def test_a_place_given_to_the_next_pair_is_as_good_as_a_new_one(
    optimiser: str, encoder: Encoder
) -> None:
    chosen = preset(
        scales=[[0.5, 4], [1.0, 7]], optimiser=optimiser, learning_rate=RATES[optimiser]
    )
    pairs = pairs_of(5)
    refilled = results(encoder, chosen, pairs, batch=2)
    assert_same(refilled, results(encoder, chosen, pairs, batch=5), atol=1e-4)
    assert_same(refilled, results(encoder, chosen, pairs, batch=1), atol=1e-4)


def test_pairs_that_stop_at_different_times_do_not_disturb_each_other(encoder: Encoder) -> None:
    chosen = preset(200, least_fall=0.1)
    pairs = pairs_of(6)
    together = results(encoder, chosen, pairs, batch=3)
    assert len({one.iterations for one in together}) > 1, "some stop earlier than others"
    assert {one.stop_reason for one in together} == {"flat"}
    assert_same(together, [results(encoder, chosen, [pair])[0] for pair in pairs], atol=1e-4)


def test_a_flat_loss_ends_a_scale_and_the_next_begins(encoder: Encoder) -> None:
    chosen = preset(scales=[[0.5, 100], [1.0, 12]], least_fall=0.999)
    (done,) = results(encoder, chosen, pairs_of(1))
    assert (done.iterations, done.stop_reason) == (30 + 12, "iterations")


def test_what_is_done_is_handed_out_before_the_rest(encoder: Encoder) -> None:
    heard: list[Progress] = []
    each = Stylizer(encoder, preset(5)).each(pairs_of(3), batch=1, on_progress=heard.append)
    index, _ = next(iter(each))
    assert index == 0
    assert {one.pairs for one in heard} == {(0,)}


def test_progress_names_the_pairs_by_their_place(encoder: Encoder) -> None:
    heard: list[Progress] = []
    dict(Stylizer(encoder, preset(4)).each(pairs_of(3), batch=2, on_progress=heard.append))
    assert [one.pairs for one in heard] == [(0, 1)] * 4 + [(2,)] * 4
    assert [one.iterations for one in heard[:4]] == [(n, n) for n in (1, 2, 3, 4)]
    assert all(len(one.total_loss) == len(one.pairs) for one in heard)


def test_contents_of_two_shapes_are_refused(encoder: Encoder) -> None:
    pairs = [*pairs_of(1), Pair(pictures(1, 48, 48)[0], (Style(pictures()[0]),))]
    with pytest.raises(ValueError, match=r"pairs: expected contents of one shape"):
        Stylizer(encoder, preset(1)).each(pairs)


@pytest.mark.parametrize("batch", [0, -1, 1.5])
def test_a_batch_of_none_is_refused(batch: Any, encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=f"batch: expected a whole number >= 1, got {batch}"):
        Stylizer(encoder, preset(1)).each(pairs_of(1), batch=batch)


def test_no_pairs_give_no_results(encoder: Encoder) -> None:
    assert list(Stylizer(encoder, preset(1)).each([])) == []


class Small(Encoder):
    """An encoder on a device whose memory holds so many images, and no more."""

    room: int
    looked_at: list[int]

    def forward(self, images: Tensor, *arguments: Any) -> dict[str, Tensor]:
        self.looked_at.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError("no room")
        return super().forward(images, *arguments)


def small(encoder: Encoder, room: int) -> Small:
    weights = {
        f"{layer}.{kind}": getattr(conv, kind)
        for layer, conv in encoder.convs.items()
        for kind in ("weight", "bias")
    }
    made = Small("small", weights, encoder.sha256, encoder.average_pool_gain)
    made.room, made.looked_at = room, []
    return made


@pytest.mark.usefixtures("seen_at_once")
def test_out_of_memory_halves_the_batch_loses_no_pair_and_is_remembered(encoder: Encoder) -> None:
    crowded = small(encoder, room=2)
    stylizer = Stylizer(crowded, preset(5))
    pairs = pairs_of(9)
    done = dict(stylizer.each(pairs, batch=8))
    assert_same([done[i] for i in range(9)], results(encoder, preset(5), pairs, batch=1), atol=1e-4)
    assert max(crowded.looked_at) > 2
    crowded.looked_at.clear()
    dict(stylizer.each(pairs, batch=8))
    assert max(crowded.looked_at) <= 2


@pytest.mark.usefixtures("seen_at_once")
@pytest.mark.parametrize("when", range(14, 32))
def test_memory_that_runs_out_at_any_moment_loses_nothing(
    encoder: Encoder, when: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded = small(encoder, room=4)
    looks = 0
    plain = crowded.forward

    def shrinking(images: Tensor, *arguments: Any) -> dict[str, Tensor]:
        nonlocal looks
        looks += 1
        if looks == when:
            crowded.room = 1
        return plain(images, *arguments)

    monkeypatch.setattr(crowded, "forward", shrinking)
    pairs = pairs_of(7)
    ours = dict(Stylizer(crowded, preset(12)).each(pairs, batch=4))
    assert sorted(ours) == list(range(7))
    assert {one.iterations for one in ours.values()} == {12}
    assert looks >= when


@pytest.mark.usefixtures("seen_at_once")
def test_a_pair_that_does_not_fit_alone_is_said_so(encoder: Encoder) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        results(small(encoder, room=0), preset(5), pairs_of(2))


class Weak(Encoder):
    """An encoder that overflows in bfloat16."""

    def forward(self, images: Tensor, *arguments: Any) -> dict[str, Tensor]:
        features = super().forward(images, *arguments)
        if self.precision == torch.bfloat16:
            bad = images.mean(dim=(1, 2, 3), keepdim=True) > 0.55
            features = {k: torch.where(bad, torch.nan, v) for k, v in features.items()}
        return features


def test_a_pair_whose_loss_is_not_finite_is_done_again_alone_in_float32(encoder: Encoder) -> None:
    weights = {k.removeprefix("convs."): v for k, v in encoder.state_dict().items() if "convs" in k}
    weak = Weak("weak", weights, encoder.sha256, encoder.average_pool_gain)
    pairs = pairs_of(3)
    bright = 0.5 + 0.5 * pictures(1, seed=5)[0]
    pairs[1] = Pair(bright, pairs[1].styles)
    chosen = preset(scales=[[0.5, 15], [1.0, 6]], precision="bf16")
    heard: list[Progress] = []
    seen: dict[int, Tensor] = {}

    def listen(one: Progress) -> None:
        heard.append(one)
        seen.update((pair, one.image(pair)) for pair in one.pairs)

    by_index = dict(Stylizer(weak, chosen).each(pairs, batch=3, on_progress=listen))
    done = [by_index[index] for index in range(3)]
    assert heard[-1].pairs == (1,), "it keeps its place in the list"
    assert torch.equal(seen[1], done[1].image)
    assert [one.precision for one in done] == ["bf16", "fp32", "bf16"]
    assert [one.restarted for one in done] == [False, True, False]
    assert [one.stop_reason for one in done] == ["iterations"] * 3
    exact = preset(scales=[[0.5, 15], [1.0, 6]], precision="fp32")
    assert_same([done[1]], results(encoder, exact, [pairs[1]]), atol=0)
