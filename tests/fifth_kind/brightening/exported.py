"""Brighteners as files: image -> brightened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gantools import registry
from gantools.export.bases import OfImages
from gantools.export.proof import Parity, Tolerance, batches, check

if TYPE_CHECKING:
    from brightening.estimator import Brightener
    from gantools.export.graph import Graph


@registry.exported("image-brightener")
class ExportedBrightener(OfImages):
    purpose = "Brightens images."

    @classmethod
    def build(cls, model: Brightener) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph

        class Brightening(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.encoder, self.net = model.encoder_, model.net_

            def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
                return (self.encoder.inverse(self.net.transform(self.encoder(image))),)

        layout = model.encoder_.layout
        image = torch.zeros((compose.ROWS_TRACED, layout.size + 5, layout.size + 9, layout.channels)).byte()
        sizes = {0: compose.dim(compose.BATCH), 1: compose.dim("height", 1 << 14), 2: compose.dim("width", 1 << 14)}
        proto = compose.traced(Brightening().eval(), (image,), ["image"], ["brightened"], shapes=[sizes])
        given = (compose.BATCH, "height", "width", layout.channels)
        found = (compose.BATCH, layout.size, layout.size, layout.channels)
        compose.name_sizes(proto, {"image": given, "brightened": found})
        names = {name: name for name in ("image", "brightened")}
        facts = {"schema": model.schema_.to_json(), "encoder": model.encoder_.to_json()}
        return Graph(proto, cls.kind, (), (), names, facts)

    def prove(self, model: Brightener, allowed: Tolerance) -> Parity:
        size, channels = self.size, self.schema_.channels
        images = np.random.default_rng(0).integers(0, 256, (8, size + 3, size, channels), dtype=np.uint8)
        expected = model.transform(images).astype(int)
        off = np.concatenate([np.abs(self.transform(images[rows]) - expected[rows]) for rows in batches(len(images))])
        check("share of bytes that differ by more than one", float((off > 1).mean()), allowed.cells)
        return {"images": len(images), "largest_byte": int(off.max()), "bytes_differing": float((off > 1).mean())}

    def transform(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """images: [N, H, W, C]. Returns [N, S, S, C]."""
        return self.run({"image": images}, ["brightened"])[0]
