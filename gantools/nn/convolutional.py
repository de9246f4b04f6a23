"""Nets for images that double and halve: what the plain image GANs share."""

from __future__ import annotations

from torch import Tensor, nn

from gantools.encode.images import ImageLayout
from gantools.nn.blocks import SLOPE
from gantools.nn.conditioning import Condition, ConditionSpec, Embed, Projection

# Standard deviation of what a condition adds at the start. As large as the noise, it drowns it: one image a class.
CONDITION_SCALE = 0.1
WIDEST = 8  # a map has at most so many times the channels of the finest one


def widths(layout: ImageLayout, width: int) -> list[int]:
    """Channels of the maps from the finest (half of the image's size) to the coarsest (the base)."""
    return [width * min(WIDEST, 2**level) for level in range(layout.n_halvings)]


class ConvGenerator(nn.Module):
    """Noise and a condition to an image: a linear layer, then transposed convolutions that double the size.

    Radford et al. 2016, 'Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks'.
    The condition enters as a learned vector beside the noise.
    """

    def __init__(self, layout: ImageLayout, noise_dim: int, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        self.base = layout.base
        self.embed = Embed(condition, noise_dim)
        maps = widths(layout, width)[::-1]
        self.first = nn.Linear(noise_dim + self.embed.width, maps[0] * self.base**2, bias=False)
        layers: list[nn.Module] = []
        for before, after in zip(maps, [*maps[1:], None], strict=True):
            layers += [nn.BatchNorm2d(before), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(before, after or layout.channels, 4, 2, 1, bias=after is None))
        self.body = nn.Sequential(*layers, nn.Tanh())
        self.apply(_small)
        self.embed.start_at(CONDITION_SCALE)

    def forward(self, noise: Tensor, condition: Condition) -> Tensor:
        """noise: [N, noise_dim]. Returns images [N, C, size, size] in [-1, 1]."""
        h = self.first(self.embed.beside(noise, condition))
        return self.body(h.unflatten(1, (-1, self.base, self.base)))


class ConvDiscriminator(nn.Module):
    """An image and a condition to a logit: strided convolutions, then a projection.

    batch_norm: after every convolution but the first, as the paper has it.
    """

    def __init__(self, layout: ImageLayout, condition: ConditionSpec, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = layout.channels
        for level, after in enumerate(widths(layout, width)):
            normed = batch_norm and level > 0
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=not normed))
            layers += [nn.BatchNorm2d(after)] * normed + [nn.LeakyReLU(SLOPE)]
            before = after
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.last = Projection(before * layout.base**2, condition)
        if batch_norm:
            self.apply(_small)
        else:
            self.apply(_even)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """x: [N, C, size, size] in [-1, 1]. Returns logits [N]."""
        return self.last(self.body(x), condition)


def _small(layer: nn.Module) -> None:
    """Radford et al. 2016, section 4: weights start normal with standard deviation 0.02."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _even(layer: nn.Module) -> None:
    """He et al. 2015: without batch normalisation, weights that keep the size of signals from layer to layer."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, SLOPE)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
