"""Ways in which a clean picture is made worse, so that a net can learn to undo them.

Pictures are [B, C, H, W] in [-1, 1]; how much each is changed is drawn for it. What comes out is what a file would
hold: rounded to bytes. On the command line they are spelled `noise=25`, `noise=5-50` or `rain`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.errors import ConfigError
from gantools.nn.image_damage import shapes
from gantools.words import meant

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, as Pillow and JPEG have it
SCALES = (2, 3, 4)
BLOCK = 8  # pixels of each side of what JPEG transforms at a time
TANGENTS = 1.5  # of the steepest angle of rain against the vertical, at most
LONGEST_STREAK = 25  # pixels
MOST_HOLES = 5  # rectangles and strokes of a picture

# The tables of Annex K of ITU-T T.81 (JPEG), for brightness and for colour.
BRIGHTNESS = (
    *(16, 11, 10, 16, 24, 40, 51, 61), *(12, 12, 14, 19, 26, 58, 60, 55), *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62), *(18, 22, 37, 56, 68, 109, 103, 77), *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101), *(72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
COLOUR = (
    *(17, 18, 24, 47, 99, 99, 99, 99), *(18, 21, 26, 66, 99, 99, 99, 99), *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99), *(99,) * 32,
)  # fmt: skip


def as_stored(x: Tensor) -> Tensor:
    """x as bytes would hold it: the nearest of 256 values from -1 to 1."""
    return ((x + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def with_mask(pictures: Tensor, hole: Tensor) -> Tensor:
    """Pictures with holes, and behind their channels the mask: [B, C + 1, H, W], 1 in holes and -1 elsewhere.

    hole: [B, 1, H, W] bool. What was there becomes mid grey.
    """
    return torch.cat([torch.where(hole, torch.zeros_like(pictures), pictures), hole.to(pictures.dtype) * 2 - 1], 1)


class Degradation(nn.Module):
    """One way. low, high: between which how much is drawn evenly, in the unit that the subclass says."""

    name: ClassVar[str]
    usual: ClassVar[tuple[float, float]]  # where nothing is said
    limits: ClassVar[tuple[float, float]]
    comes_last: ClassVar[bool] = False
    scale = 1  # how many times smaller the sides become

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        super().__init__()
        self.low, self.high = self.usual if low is None else (low, low if high is None else high)
        least, most = self.limits
        if not least <= self.low <= self.high <= most:
            rule = f"{self.name} takes {least:g} to {most:g}, or a range such as {self.usual[0]:g}-{self.usual[1]:g}"
            raise ConfigError(rule, where="degrade", remedy=f"write {self.name}={self.usual[1]:g}")

    def channels(self, n: int) -> int:
        """Channels of what comes out where n come in."""
        return n

    @property
    def spelled(self) -> str:
        """As the command line has it."""
        return f"{self.name}={self.low:g}" + ("" if self.low == self.high else f"-{self.high:g}")

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        raise NotImplementedError

    def drawn(self, clean: Tensor, random: torch.Generator) -> Tensor:
        """How much, for each picture: [B, 1, 1, 1]."""
        return self.low + (self.high - self.low) * _uniform(clean, random)


class Noise(Degradation):
    """Normal noise. Its standard deviation in grey levels of 0 to 255."""

    name, usual, limits = "noise", (5.0, 50.0), (0.5, 150.0)

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.randn(clean.shape, device=clean.device, generator=random)
        return as_stored(clean + noise * self.drawn(clean, random) / 127.5)


class Rain(Degradation):
    """Streaks that fall about the same way in one picture. How many: their first pixels in 1,000.

    After Li et al. 2016, 'Rain Streak Removal Using Layer Priors': bright lines are added to the picture. A streak is a
    pixel drawn out along a line; length, angle, brightness and sharpness are drawn for each picture.
    """

    name, usual, limits = "rain", (2.0, 8.0), (0.1, 50.0)

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        n, _, height, width = clean.shape
        drops = torch.rand((n, 1, height, width), device=clean.device, generator=random)
        drops = (drops < self.drawn(clean, random) / 1000).float()
        drops = drops * (0.5 + torch.rand(drops.shape, device=clean.device, generator=random))
        length = 7 + (LONGEST_STREAK - 7) * _uniform(clean, random)
        slant = TANGENTS * (_uniform(clean, random) - 0.5)  # pixels to the side for each pixel down
        thickness = 0.4 + 0.5 * _uniform(clean, random)
        side = torch.arange(LONGEST_STREAK, device=clean.device) - LONGEST_STREAK // 2
        down, across = side.reshape(1, 1, -1, 1), side.reshape(1, 1, 1, -1)
        cosine = 1 / (1 + slant.square()).sqrt()
        along, aside = (down + slant * across) * cosine, (across - slant * down) * cosine
        ends = torch.sigmoid(2 * (length / 2 - along.abs()))
        kernel = ends * torch.exp(-(aside / thickness).square() / 2)
        reach = LONGEST_STREAK // 2
        streaks = F.conv2d(drops.transpose(0, 1), kernel, padding=reach, groups=n).transpose(0, 1)
        return as_stored(clean + (0.3 + 0.5 * _uniform(clean, random)) * streaks.clamp(max=1.5))


class Blur(Degradation):
    """A normal blur. Its standard deviation in pixels."""

    name, usual, limits = "blur", (0.5, 3.0), (0.1, 10.0)

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        n, channels, height, _ = clean.shape
        reach = math.ceil(3 * self.high)
        place = torch.arange(-reach, reach + 1, device=clean.device)
        kernel = torch.exp(-(place / self.drawn(clean, random)).square() / 2)  # [B, 1, 1, 2 * reach + 1]
        kernel = (kernel / kernel.sum(3, keepdim=True)).repeat_interleave(channels, 0)
        x = F.pad(clean, (reach,) * 4, mode="replicate").reshape(1, n * channels, height + 2 * reach, -1)
        x = F.conv2d(F.conv2d(x, kernel, groups=n * channels), kernel.transpose(2, 3), groups=n * channels)
        return as_stored(x.reshape(clean.shape))


class JPEG(Degradation):
    """What JPEG of a low quality leaves, from 1 to 100: cosines of blocks of 8 pixels, rounded.

    Tables, their scaling by the quality and the halved colours are those of libjpeg; the rest is ITU-T T.81.
    """

    name, usual, limits = "jpeg", (10.0, 50.0), (1.0, 100.0)

    cosines: Tensor  # [8, 8]
    tables: Tensor  # [2, 8, 8]
    to_ycc: Tensor  # [3, 3]

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        super().__init__(low, high)
        place = torch.arange(BLOCK, dtype=torch.float64)
        cosines = torch.cos((2 * place + 1) * place.unsqueeze(1) * math.pi / (2 * BLOCK)) / 2
        cosines[0] /= math.sqrt(2)
        self.register_buffer("cosines", cosines.float(), persistent=False)
        tables = torch.tensor([BRIGHTNESS, COLOUR], dtype=torch.float32).reshape(2, BLOCK, BLOCK)
        self.register_buffer("tables", tables, persistent=False)
        y = torch.tensor(LUMA, dtype=torch.float64)
        blue, red = (torch.eye(3, dtype=torch.float64)[k] for k in (2, 0))
        ycc = torch.stack([y, (blue - y) / (2 * (1 - LUMA[2])), (red - y) / (2 * (1 - LUMA[0]))])
        self.register_buffer("to_ycc", ycc.float(), persistent=False)

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        quality = self.drawn(clean, random).round()
        percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
        tables = ((self.tables * percent + 50) / 100).floor().clamp(1, 255)  # [B, 2, 8, 8]
        grey = (clean + 1) * 127.5 - 128
        if clean.shape[1] == 1:
            return as_stored((self._rounded(grey, tables[:, :1]) + 128) / 127.5 - 1)
        ycc = torch.einsum("kc,nchw->nkhw", self.to_ycc, grey[:, :3])
        height, width = ycc.shape[2:]
        colours = F.avg_pool2d(F.pad(ycc[:, 1:], (0, width % 2, 0, height % 2), mode="replicate"), 2)
        bright, colours = self._rounded(ycc[:, :1], tables[:, :1]), self._rounded(colours, tables[:, 1:])
        colours = F.interpolate(colours, scale_factor=2.0, mode="bilinear", align_corners=False)[:, :, :height, :width]
        rgb = torch.einsum("ck,nkhw->nchw", torch.linalg.inv(self.to_ycc), torch.cat([bright, colours], 1))
        return as_stored(torch.cat([(rgb + 128) / 127.5 - 1, clean[:, 3:]], 1))

    def _rounded(self, x: Tensor, table: Tensor) -> Tensor:
        """x [B, C, H, W] with the cosines of its blocks rounded to multiples of table [B, 1, 8, 8]."""
        n, c, height, width = x.shape
        x = F.pad(x, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
        blocks = x.unfold(2, BLOCK, BLOCK).unfold(3, BLOCK, BLOCK)  # [B, C, h, w, 8, 8]
        waves = self.cosines @ blocks @ self.cosines.T
        step = table.reshape(n, 1, 1, 1, BLOCK, BLOCK)
        blocks = self.cosines.T @ ((waves / step).round() * step) @ self.cosines
        return blocks.permute(0, 1, 2, 4, 3, 5).reshape(n, c, x.shape[2], x.shape[3])[:, :, :height, :width]


class Smaller(Degradation):
    """Bicubic with antialiasing, as Pillow resizes. How many times smaller: 2, 3 or 4."""

    name, usual, limits = "smaller", (2.0, 2.0), (2.0, 4.0)
    comes_last = True

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        super().__init__(low, high)
        if self.low != self.high or self.low not in SCALES:
            raise ConfigError("smaller takes 2, 3 or 4", where="degrade", remedy="write smaller=2")
        self.scale = int(self.low)

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        height, width = clean.shape[2:]
        if height % self.scale or width % self.scale:
            problem = f"{width} x {height} pixels cannot be made {self.scale} times smaller"
            raise ConfigError(problem, where="scale", remedy=f"give sides that are multiples of {self.scale}")
        size = height // self.scale, width // self.scale
        return as_stored(F.interpolate(clean, size, mode="bicubic", antialias=True, align_corners=False))


class Grey(Degradation):
    """No colour: one channel, by Pillow's luma."""

    name, usual, limits = "grey", (1.0, 1.0), (1.0, 1.0)
    comes_last = True

    def channels(self, n: int) -> int:
        return 1

    @property
    def spelled(self) -> str:
        return self.name

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        if clean.shape[1] == 1:
            raise ConfigError("the pictures have no colour", where="degrade", remedy="give pictures in colour")
        luma = torch.tensor(LUMA, device=clean.device).reshape(1, 3, 1, 1)
        return as_stored((clean[:, :3] * luma).sum(1, keepdim=True))


class Holes(Degradation):
    """Rectangles, strokes and spots that are missing, until about so large a share of the picture is. A mask comes
    behind the channels, see `with_mask`."""

    name, usual, limits = "holes", (0.1, 0.4), (0.01, 0.9)
    comes_last = True

    def channels(self, n: int) -> int:
        return n + 1

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        wanted = self.drawn(clean, random)
        one = _uniform(clean, random) < 0.5  # one rectangle of that size, or several things
        hole = one & _rectangle(clean, wanted, random)
        for _ in range(MOST_HOLES):
            room = (wanted - hole.float().mean((1, 2, 3), keepdim=True)).clamp(min=0)
            part = room * (0.3 + 0.7 * _uniform(clean, random))
            is_stroke = _uniform(clean, random) < 0.5
            added = torch.where(is_stroke, shapes(clean, random) > 0.5, _rectangle(clean, part, random))
            fits = (added & ~hole).float().mean((1, 2, 3), keepdim=True) <= 1.2 * room
            hole = hole | (added & fits & ~one)
        return with_mask(clean, hole)


KINDS: dict[str, type[Degradation]] = {
    kind.name: kind for kind in (Noise, Rain, Blur, JPEG, Smaller, Grey, Holes)
}  # fmt: skip


class Degradations(nn.Module):
    """Several ways, one after the other."""

    def __init__(self, ways: Sequence[Degradation]) -> None:
        super().__init__()
        self.ways = nn.ModuleList(ways)

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Degradations:
        """From NAME, NAME=VALUE or NAME=LOW-HIGH each. Raises ConfigError for one that is not known or out of range."""
        ways = [_parsed(text) for text in texts]
        for way in ways[:-1]:
            if way.comes_last:
                raise ConfigError(f"{way.name} comes last", where="degrade", remedy="put it behind the others")
        return cls(ways)

    def _all(self) -> list[Degradation]:
        return [cast(Degradation, way) for way in self.ways]

    @property
    def names(self) -> list[str]:
        """What each is called."""
        return [way.name for way in self._all()]

    @property
    def spelled(self) -> list[str]:
        """The texts that `parse` makes the same from."""
        return [way.spelled for way in self._all()]

    @property
    def scale(self) -> int:
        """How many times smaller the sides become."""
        return math.prod(way.scale for way in self._all())

    @property
    def makes_holes(self) -> bool:
        """Whether a mask comes behind the channels."""
        return "holes" in self.names

    def channels(self, n: int) -> int:
        """Channels of what comes out where n come in."""
        for way in self._all():
            n = way.channels(n)
        return n

    def forward(self, clean: Tensor, random: torch.Generator) -> Tensor:
        """clean: [B, C, H, W] in [-1, 1]."""
        for way in self.ways:
            clean = way(clean, random)
        return clean


def _parsed(text: str) -> Degradation:
    name, _, value = text.strip().partition("=")
    if name not in KINDS:
        remedy = meant(name, KINDS, "choose among " + ", ".join(KINDS))
        raise ConfigError(f"there is no degradation called {name!r}", where="degrade", remedy=remedy)
    try:
        ends: list[Any] = [float(end) for end in value.split("-")] if value else []
    except ValueError:
        ends = [math.nan]
    if len(ends) > 2 or not all(map(math.isfinite, ends)):
        usual = "-".join(f"{end:g}" for end in KINDS[name].usual)
        raise ConfigError(f"{text!r} is neither a number nor a range", where="degrade", remedy=f"write {name}={usual}")
    return KINDS[name](*ends)


def _uniform(x: Tensor, random: torch.Generator) -> Tensor:
    """A number on [0, 1) for each picture: [B, 1, 1, 1]."""
    return torch.rand((len(x), 1, 1, 1), device=x.device, generator=random)


def _rectangle(x: Tensor, share: Tensor, random: torch.Generator) -> Tensor:
    """A rectangle somewhere in each picture: [B, 1, H, W] bool. share: [B, 1, 1, 1], of the picture."""
    height, width = x.shape[2:]
    longer = 2 ** (2 * _uniform(x, random) - 1)
    tall = (height * (share * longer).sqrt()).clamp(max=height)
    wide = (width * (share / longer).sqrt()).clamp(max=width)
    top, left = (height - tall) * _uniform(x, random), (width - wide) * _uniform(x, random)
    row = torch.arange(height, device=x.device).reshape(1, 1, -1, 1) + 0.5
    column = torch.arange(width, device=x.device).reshape(1, 1, 1, -1) + 0.5
    return (row >= top) & (row < top + tall) & (column >= left) & (column < left + wide)
