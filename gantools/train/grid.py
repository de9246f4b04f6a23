"""Pictures of what a generator makes as it learns: a row for each class, always from the same noise."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch

from gantools.data.images.source import write_png
from gantools.encode.images import ImageEncoder
from gantools.models.base import GAN, Model
from gantools.nn.conditioning import Condition

COLUMNS = 10
MOST_ROWS = 20  # classes shown


class GridWriter:
    """Called with a step and a model, writes `step_000500.png` into a folder, and the same as a TensorBoard event.

    events: TensorBoard's folder, None for none.
    """

    def __init__(self, folder: Path, encoder: ImageEncoder, n_classes: int, seed: int, events: str | None) -> None:
        self.folder = folder
        self.encoder = encoder
        self.label = torch.arange(min(n_classes, MOST_ROWS)).repeat_interleave(COLUMNS)
        self.seed = seed
        self.events = events

    @torch.no_grad()
    def __call__(self, step: int, model: Model) -> None:
        device = next(model.parameters()).device
        condition = Condition(self.label.to(device))
        made = cast(GAN, model).sample(len(self.label), condition, torch.Generator(device).manual_seed(self.seed))
        images = self.encoder.inverse(made).cpu()
        size, channels = images.shape[1], images.shape[3]
        grid = images.reshape(-1, COLUMNS, size, size, channels).transpose(1, 2)
        picture = grid.reshape(-1, COLUMNS * size, channels).numpy()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_png(picture, self.folder / f"step_{step:06d}.png")
        if self.events is not None:
            from torch.utils.tensorboard import SummaryWriter

            with SummaryWriter(self.events) as writer:
                writer.add_image("generated", picture, step, dataformats="HWC")
