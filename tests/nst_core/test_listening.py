"""What a listener to the optimisation hears and sees, and how it stops it."""

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nst_core import optimisation
from nst_core.batch import Batch
from nst_core.encoder import Encoder
from nst_core.optimisation import Progress
from nst_core.pairs import Pair, PreserveColor, Style
from nst_core.presets import PRESETS
from nst_core.stylizer import Stylizer
from tests.nst_core.tiny import any_optimiser, pictures, preset, stylize, with_optimiser


@any_optimiser
def test_a_listener_hears_every_iteration_of_the_whole_batch(
    optimiser: str, encoder: Encoder
) -> None:
    heard: list[Progress] = []
    content, style = pictures(2), pictures(2, seed=1)
    stylize(encoder, with_optimiser(optimiser, 6), content, style, on_progress=heard.append)
    assert [one.iterations for one in heard] == [(n, n) for n in range(1, 7)]
    assert {one.of for one in heard} == {6}
    assert {one.pairs for one in heard} == {(0, 1)}


def test_a_listener_hears_the_loss_fall_from_that_of_the_start(encoder: Encoder) -> None:
    heard: list[float] = []
    result = stylize(
        encoder,
        preset(20),
        pictures(),
        pictures(seed=1),
        on_progress=lambda one: heard.extend(one.total_loss),
    )
    assert heard[0] == pytest.approx(float(result.start.total))
    assert heard[-1] < 0.5 * heard[0]


@pytest.mark.parametrize("name", PRESETS)
def test_the_terms_that_a_listener_hears_are_the_weighted_losses(
    name: str, encoder: Encoder
) -> None:
    heard: list[Progress] = []
    chosen = preset(3, name, initial="style")
    content, style = pictures(2), pictures(2, seed=1)
    result = stylize(encoder, chosen, content, style, on_progress=heard.append)
    for term, loss in (
        ("content", result.start.content),
        ("style", result.start.style),
        ("total_variation", result.start.total_variation),
    ):
        weighted = getattr(chosen, f"{term}_weight") * loss
        assert getattr(heard[0], f"{term}_term") == pytest.approx(weighted.tolist(), 1e-4, 1e-5)
    for one in heard:
        for place, total in enumerate(one.total_loss):
            terms = one.content_term[place], one.style_term[place], one.total_variation_term[place]
            assert sum(terms) == pytest.approx(total, rel=1e-5)


def test_a_listener_sees_the_image_of_each_iteration(encoder: Encoder) -> None:
    """That of two iterations is what two iterations end with."""
    seen: dict[int, Tensor] = {}

    def listen(one: Progress) -> None:
        seen[one.iterations[0]] = one.image(0)
        assert seen[one.iterations[0]].shape == (3, one.height, one.width)

    content, style = pictures(), pictures(seed=1)
    scales = [[0.5, 3], [1.0, 4]]
    stylize(encoder, preset(scales=scales), content, style, on_progress=listen)
    assert [tuple(image.shape[1:]) for image in seen.values()] == [(16, 24)] * 3 + [(32, 48)] * 4
    for iterations in (1, 2, 4):
        until = stylize(encoder, preset(scales=[[0.5, 3], [1.0, iterations]]), content, style)
        assert torch.equal(seen[3 + iterations], until.images[0])


@pytest.mark.parametrize("way", ["no", "luminance", "match"])
@pytest.mark.parametrize("masked", [False, True])
def test_what_a_listener_sees_is_like_the_result(
    way: PreserveColor, masked: bool, encoder: Encoder
) -> None:
    mask = torch.zeros(32, 48)
    mask[:, 24:] = 1
    first = Pair(pictures()[0], (Style(pictures(seed=1)[0]),), preserve_color=way)
    pairs = [first, Pair(pictures(seed=2)[0], (Style(pictures(seed=3)[0]),))]
    if masked:
        pairs[0] = replace(first, mask=mask)
    last: dict[int, Tensor] = {}

    def listen(one: Progress) -> None:
        last.update((pair, one.image(pair)) for pair in one.pairs)

    plain = dict(Stylizer(encoder, preset(5)).each(pairs, batch=2))
    shown = dict(Stylizer(encoder, preset(5)).each(pairs, batch=2, on_progress=listen))
    for index, done in shown.items():
        assert torch.equal(done.image, plain[index].image), "looking changes nothing"
        assert torch.equal(last[index], done.image)


def test_an_image_is_to_be_had_only_while_the_listener_is_called(encoder: Encoder) -> None:
    heard: list[Progress] = []
    stylize(encoder, preset(2), pictures(), pictures(seed=1), on_progress=heard.append)
    with pytest.raises(ValueError, match=r"pair: 0 is not in the batch; .* is called"):
        heard[0].image(0)

    def ask_for_another(one: Progress) -> None:
        with pytest.raises(ValueError, match="pair: 1 is not in the batch"):
            one.image(1)

    stylize(encoder, preset(1), pictures(), pictures(seed=1), on_progress=ask_for_another)


def test_what_was_heard_keeps_no_batch_in_memory(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Batch]] = []

    def noted(*arguments: Any) -> Batch:
        batch = Batch(*arguments)
        made.append(weakref.ref(batch))
        return batch

    monkeypatch.setattr(optimisation, "Batch", noted)
    heard: list[Progress] = []
    stylize(encoder, preset(2), pictures(), pictures(seed=1), on_progress=heard.append)
    gc.collect()
    assert len(heard) == 2
    assert [batch() for batch in made] == [None]


def test_numbers_grow_over_the_scales(encoder: Encoder) -> None:
    heard: list[Progress] = []
    chosen = preset(scales=[[0.5, 2], [1.0, 3]])
    result = stylize(encoder, chosen, pictures(), pictures(seed=1), on_progress=heard.append)
    assert [one.iterations for one in heard] == [(1,), (2,), (3,), (4,), (5,)]
    assert {one.of for one in heard} == {5}
    assert result.iterations == (5,)


class Stop(Exception):
    pass


@any_optimiser
def test_a_listener_may_stop_it_by_raising(optimiser: str, encoder: Encoder) -> None:
    heard: list[int] = []

    def listen(one: Progress) -> None:
        heard.extend(one.iterations)
        if one.iterations == (2,):
            raise Stop

    with pytest.raises(Stop):
        stylize(
            encoder,
            with_optimiser(optimiser, 100),
            pictures(),
            pictures(seed=1),
            on_progress=listen,
        )
    assert heard == [1, 2]
