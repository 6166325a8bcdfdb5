"""Importance weights log p(x, z) - log q(z|x) of many draws, in nats: blocks of images and draws.

A long computation on a CPU compiles the block: the decoder's last layer gives a number for every
pixel and draw, and passes over these numbers take most of the time where they are not fused.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_flatten

from harness.evaluation.inductor import can_compile, compile_function
from harness.experiment.options import Compile
from harness.plugins.model import (
    ImportanceWeighted,
    Model,
    Noise,
    draw_noise,
    own_draws,
    weigh_images,
)

BLOCK_IMAGES, BLOCK_DRAWS = 100, 10  # the draws of a block are computed in one call
MIN_WEIGHTS_TO_COMPILE = 2_000_000  # draws times images; fewer are done before compiling pays

# x (images, dimensions), y (images,), stacked noise -> log w (draws, images)
Block = Callable[[Tensor, Tensor, Noise], Tensor]


def should_compile(model: Model, weights: int, mode: Compile, device: torch.device) -> bool:
    """Whether to compile the block for so many weights."""
    if not model.stackable or mode == "never":
        return False
    return mode == "always" or (weights >= MIN_WEIGHTS_TO_COMPILE and can_compile(device))


def compile_block(model: ImportanceWeighted, x: Tensor, y: Tensor) -> Block | None:
    """The log weights of `BLOCK_DRAWS` draws and `BLOCK_IMAGES` images; None if it cannot be
    compiled.

    x, y: images (BLOCK_IMAGES, dimensions) and classes (BLOCK_IMAGES,) like those of a block
    """
    assert isinstance(model, Model)
    weigher = _Weigher(model)

    def weigh(tensors: dict[str, Tensor], x: Tensor, y: Tensor, noise: Noise) -> Tensor:
        weighed: Tensor = vmap(lambda draw: functional_call(weigher, tensors, (x, draw, y)))(noise)
        return weighed

    with torch.inference_mode(False), torch.no_grad():
        named = (*weigher.named_parameters(), *weigher.named_buffers())
        tensors = {name: tensor.detach() for name, tensor in named}
        noise = draw_stacked_noise(model, BLOCK_IMAGES, BLOCK_DRAWS, torch.Generator())
        flat, nested = tree_flatten((tensors, x.clone(), y.clone(), noise))
        try:
            compiled = compile_function(weigh, flat, nested, torch.get_num_threads())
        except Exception:  # the same weights are computed without
            return None

    def run(x: Tensor, y: Tensor, noise: Noise) -> Tensor:
        result: Tensor = compiled(tree_flatten((tensors, x, y, noise))[0])
        return result

    return run


class _Weigher(nn.Module):
    """A model whose forward pass gives importance weights."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Noise, y: Tensor) -> Tensor:
        return weigh_images(self.model, x, noise, y)  # type: ignore[arg-type]


def compute_log_weights(
    model: ImportanceWeighted,
    chunk: tuple[Tensor, Tensor],
    draws: int,
    generator: torch.Generator,
    block: Block | None = None,
) -> Tensor:
    """log w of each draw and each of the images and classes of a chunk: (draws, images).

    The model encodes x once for every `BLOCK_DRAWS` draws. block: computes whole blocks
    """
    assert isinstance(model, Model)
    x, y = chunk
    weights = []
    for first in range(0, draws, BLOCK_DRAWS):
        count = min(BLOCK_DRAWS, draws - first)
        drawn = draw_stacked_noise(model, len(x), count, generator)
        noise = {name: each.to(x.device) for name, each in drawn.items()}
        if block is not None and (len(x), count) == (BLOCK_IMAGES, BLOCK_DRAWS):
            weights.append(block(x, y, noise))
        else:
            weights.append(_weigh_draws(model, x, y, noise, generator))
    return torch.cat(weights)


def _weigh_draws(
    model: ImportanceWeighted, x: Tensor, y: Tensor, noise: Noise, generator: torch.Generator
) -> Tensor:
    """log w of each of the stacked draws: (draws, images)."""
    assert isinstance(model, Model)
    if model.stackable:
        return vmap(lambda draw: weigh_images(model, x, draw, y))(noise)
    draws = len(next(iter(noise.values()))) if noise else BLOCK_DRAWS
    with own_draws(int(torch.randint(2**62, (), generator=generator))):
        return torch.stack(
            [
                weigh_images(model, x, {k: v[draw] for k, v in noise.items()}, y)
                for draw in range(draws)
            ]
        )


def draw_stacked_noise(model: Model, images: int, draws: int, generator: torch.Generator) -> Noise:
    """The noise of so many draws, stacked along a first dimension."""
    draw_list = [draw_noise(model, images, generator) for _ in range(draws)]
    return {name: torch.stack([noise[name] for noise in draw_list]) for name in draw_list[0]}
