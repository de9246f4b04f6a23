"""Pictures of what a model makes as it learns: of a generator always from the same noise, of a translator always of
the same pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from gantools.data.images.source import Bytes, write_png
from gantools.encode.images import ImageEncoder, as_bytes
from gantools.models.base import GAN, Model, Translator
from gantools.nn.conditioning import Condition
from gantools.nn.features import as_rgb

COLUMNS = 10
MOST_ROWS = 20  # classes shown


class GridWriter:
    """Called with a step and a model, writes `step_000500.png` into a folder, and the same as a TensorBoard event.

    condition: of each image that is shown, COLUMNS in a row. events: TensorBoard's folder, None for none.
    """

    def __init__(
        self, folder: Path, encoder: ImageEncoder, condition: Condition, seed: int, events: str | None
    ) -> None:
        self.folder = folder
        self.encoder = encoder
        self.condition, self.n = condition, len(condition)
        self.seed = seed
        self.events = events

    @torch.no_grad()
    def __call__(self, step: int, model: Model) -> None:
        device = next(model.parameters()).device
        random = torch.Generator(device).manual_seed(self.seed)
        made = cast(GAN, model).sample(self.n, self.condition.to(device), random)
        images = self.encoder.inverse(made).cpu()
        size, channels = images.shape[1], images.shape[3]
        grid = images.reshape(-1, COLUMNS, size, size, channels).transpose(1, 2)
        put(self.folder, step, grid.reshape(-1, COLUMNS * size, channels).numpy(), self.events)


class TranslationGridWriter:
    """The same for a translator: a row for each of some pictures: it, what is made of it, and the truth if known.

    given: [N, C, h, w], truth: [N, C', H, W] or None, as nets see them.
    """

    def __init__(self, folder: Path, given: Tensor, truth: Tensor | None, events: str | None) -> None:
        self.folder, self.given, self.truth, self.events = folder, given, truth, events

    @torch.no_grad()
    def __call__(self, step: int, model: Model) -> None:
        device = next(model.parameters()).device
        made = cast(Translator, model).transform(self.given.to(device)).float().cpu()
        shown = [as_rgb(x) for x in (self.given, made, self.truth) if x is not None]
        columns = [F.interpolate(x, made.shape[2:], mode="nearest") for x in shown]
        rows = torch.cat(columns, 3).movedim(1, 3)  # [N, H, columns * W, 3]
        put(self.folder, step, as_bytes(rows).flatten(0, 1).contiguous().numpy(), self.events)


def put(folder: Path, step: int, picture: Bytes, events: str | None) -> None:
    """Write the picture [H, W, C] of a step, as a file and as an event."""
    folder.mkdir(parents=True, exist_ok=True)
    write_png(picture, folder / f"step_{step:06d}.png")
    if events is not None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(events) as writer:
            writer.add_image("generated", picture, step, dataformats="HWC")
