"""A translator between bytes: what the library runs and what is exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantools.models.base import Translator
from gantools.nn.degradations import with_mask


class Translating(nn.Module):
    """Pictures uint8 [N, H, W, C] to pictures uint8 [N, scale * H, scale * W, C'].

    reverse: from the second domain to the first, of a translator that knows both directions.
    """

    def __init__(self, translator: Translator, *, reverse: bool = False) -> None:
        super().__init__()
        self.translator, self.reverse = translator, reverse

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """mask: [N, H, W] uint8, above 0 in holes, for a translator that fills them."""
        return self.grey_levels(image, mask).round().clamp(0, 255).to(torch.uint8).movedim(1, 3).contiguous()

    def grey_levels(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """As `forward`, before it is rounded: [N, C', scale * H, scale * W]."""
        x = image.movedim(3, 1).float() / 127.5 - 1
        if mask is not None:
            x = with_mask(x, mask.unsqueeze(1).bool())
        return (self.translator.transform(x, reverse=self.reverse).float() + 1) * 127.5
