"""Generators of images: noise, label and, of models that have it, truncation -> image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gantools import registry
from gantools.augment.labels import wanted_labels
from gantools.export.bases import ExportedMaker, OfImages
from gantools.export.columns import Port
from gantools.export.proof import SEED, Parity, Tolerance, batches, check_images

if TYPE_CHECKING:
    from torch import Tensor

    from gantools.augment.image_synthesizer import ImageSynthesizer
    from gantools.export.graph import Graph

TRIED = 64  # images that a proof makes
TRIED_TRUNCATION = 0.6


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
        from gantools.export.modules import ImageMaking, TruncatedImageMaking, example

        gan, layout, counts = maker.gan_, maker.encoder_.layout, maker.class_counts_
        label = Port("label", "string", maker.schema_.classes, has_missing=False)
        truncates = gan.truncation is not None
        making = TruncatedImageMaking if truncates else ImageMaking
        settings = {"truncation": np.array([gan.truncation], np.float32)} if truncates else {}
        given = *map(torch.from_numpy, settings.values()), torch.zeros(compose.ROWS_TRACED, gan.noise_width)
        inputs = [*settings, "noise", compose.traced_name(label)]
        proto = compose.traced(
            making(gan, maker.encoder_, label).eval(), (*given, example(label)), inputs, ["image"], fixed=len(settings)
        )
        for name, value in settings.items():
            compose.set_default(proto, name, value)
        compose.add_label(proto, label, counts)
        compose.take_rows(proto, "noise")
        compose.count_rows(proto, ["noise", label.name])
        image = (compose.BATCH, layout.size, layout.size, layout.channels)
        sizes = {"noise": (compose.BATCH, gan.noise_width), "image": image}
        compose.name_sizes(proto, sizes | dict.fromkeys(settings, (1,)))
        facts = {
            "schema": maker.schema_.to_json(),
            "class_counts": list(counts),
            "noise_width": gan.noise_width,
            "encoder": maker.encoder_.to_json(),
            **{name: float(value[0]) for name, value in settings.items()},
        }
        names = {name: name for name in (*settings, "noise", "label", "image")}
        return Graph(proto, cls.kind, (label,), (), names, facts)

    def prove(self, maker: ImageSynthesizer, allowed: Tolerance) -> Parity:
        """On images of every class, from the same noise, half of them truncated where that can be asked for."""
        import torch

        label = self.every_class(TRIED)
        if self.draws_noise:
            return {"images": len(self.generate(np.zeros((0, 0), np.float32), label)), "noise": "inside"}
        noise = torch.randn((TRIED, self.noise_width), generator=torch.Generator().manual_seed(SEED))
        tried = (None, TRIED_TRUNCATION) if self.truncates else (None,)
        ours, theirs = [], []
        for k, rows in enumerate(batches(TRIED)):
            some = noise[rows], torch.from_numpy(label[rows]), tried[k % len(tried)]
            ours.append(self.from_noise(*some))
            theirs.append(maker.from_noise(*some))
        return check_images(ours, theirs, allowed)

    @property
    def truncates(self) -> bool:
        """Whether images can be drawn towards the middle of their class."""
        return "truncation" in self.names

    def sample(
        self, counts: Mapping[str, int] | int, *, seed: int = 0, truncation: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """The images of `ImageSynthesizer.sample` with the same arguments on a CPU: [N, C, size, size] uint8, and their
        labels [N]. Imports torch for its noise.

        Raises ConfigError for an unknown class, a negative number, or a truncation that the model does not take.
        """
        import torch

        from gantools.augment.latent import from_seeds, seeds_of_run

        self.check_seed(seed)
        label = torch.from_numpy(wanted_labels(counts, self.schema_.classes, self.class_counts, "image"))
        return from_seeds(self, label, seeds_of_run(seed, len(label)), truncation), label

    def from_noise(self, noise: Tensor, label: Tensor, truncation: float | None = None) -> Tensor:
        """As `ImageSynthesizer.from_noise`."""
        import torch

        from gantools.augment.latent import check_truncation

        check_truncation(truncation, self.truncates)
        return torch.from_numpy(self.generate(noise.numpy(), label.numpy(), truncation)).movedim(3, 1)

    def generate(
        self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64], truncation: float | None = None
    ) -> npt.NDArray[np.uint8]:
        """Images [N, S, S, C]. noise: [N, noise_width]. label: [N] codes. truncation: None for what is usual."""
        feed = self.asked(noise, label)
        if self.truncates:
            usual = self.described["truncation"] if truncation is None else truncation
            feed[self.names["truncation"]] = np.array([usual], np.float32)
        return self.run(feed, [self.names["image"]])[0]

    def differences(self, parity: Mapping[str, Any]) -> str:
        return f"bytes differ by {parity['largest_byte']} at most"
