"""Generators of images: noise, label -> image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gantools import registry
from gantools.augment.labels import wanted_labels
from gantools.export.bases import ExportedMaker, OfImages
from gantools.export.columns import Port
from gantools.export.proof import BATCHES, SEED, Parity, Tolerance, batches, check

if TYPE_CHECKING:
    from torch import Tensor

    from gantools.augment.image_synthesizer import ImageSynthesizer
    from gantools.export.graph import Graph

TRIED = 64  # images that a proof makes


@registry.exported("image-generator")
class ExportedImageGenerator(OfImages, ExportedMaker):
    """An image generator from a file."""

    purpose = "Generates images, of the class that is asked for."
    needed = ("noise", "label", "image")

    @classmethod
    def build(cls, maker: ImageSynthesizer) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.export.modules import ImageMaking, example

        gan, layout, counts = maker.gan_, maker.encoder_.layout, maker.class_counts_
        label = Port("label", "string", maker.schema_.classes, has_missing=False)
        module = ImageMaking(gan, maker.encoder_, label).eval()
        given = torch.zeros(compose.ROWS_TRACED, gan.noise_width), example(label)
        proto = compose.traced(module, given, ["noise", compose.traced_name(label)], ["image"])
        compose.add_label(proto, label, counts)
        compose.take_rows(proto, "noise")
        compose.count_rows(proto, ["noise", label.name])
        image = (compose.BATCH, layout.size, layout.size, layout.channels)
        compose.name_sizes(proto, {"noise": (compose.BATCH, gan.noise_width), "image": image})
        facts = {
            "schema": maker.schema_.to_json(),
            "class_counts": list(counts),
            "noise_width": gan.noise_width,
            "encoder": maker.encoder_.to_json(),
        }
        return Graph(proto, cls.kind, (label,), (), {name: name for name in ("noise", "label", "image")}, facts)

    def prove(self, maker: ImageSynthesizer, allowed: Tolerance) -> Parity:
        """On images of every class, from the same noise."""
        import torch

        from gantools.nn.conditioning import Condition

        label = self.every_class(TRIED)
        if self.draws_noise:
            return {"images": len(self.generate(np.zeros((0, 0), np.float32), label)), "noise": "inside"}
        noise = torch.randn((TRIED, self.noise_width), generator=torch.Generator().manual_seed(SEED))
        with torch.no_grad():
            made = maker.encoder_.inverse(maker.gan_.generate(noise, Condition(torch.from_numpy(label)))).numpy()
        n_off, n_bytes, largest = 0, 0, 0
        for rows in batches(TRIED):
            ours = self.generate(noise.numpy()[rows], label[rows])
            off = np.abs(ours.astype(int) - made[rows].astype(int))
            n_off, n_bytes, largest = n_off + int((off > 1).sum()), n_bytes + off.size, max(largest, int(off.max()))
        share = n_off / n_bytes
        check("share of bytes that differ by more than one", share, allowed.cells)
        return {"images": TRIED, "batches": [*BATCHES, TRIED], "bytes_differing": share, "largest_byte": largest}

    def sample(self, counts: Mapping[str, int] | int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
        """The images of `ImageSynthesizer.sample(counts, seed=seed)` on a CPU: [N, C, size, size] uint8, and their
        labels [N]. Imports torch for its noise.

        Raises ConfigError for an unknown class or a negative number.
        """
        import torch

        from gantools.augment.latent import from_seeds, seeds_of_run

        self.check_seed(seed)
        label = torch.from_numpy(wanted_labels(counts, self.schema_.classes, self.class_counts, "image"))
        return from_seeds(self, label, seeds_of_run(seed, len(label))), label

    def from_noise(self, noise: Tensor, label: Tensor) -> Tensor:
        """As `ImageSynthesizer.from_noise`."""
        import torch

        return torch.from_numpy(self.generate(noise.numpy(), label.numpy())).movedim(3, 1)

    def generate(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Images [N, S, S, C]. noise: [N, noise_width]. label: [N] codes."""
        return self.run(self.asked(noise, label), [self.names["image"]])[0]

    def differences(self, parity: Mapping[str, Any]) -> str:
        return f"bytes differ by {parity['largest_byte']} at most"
