"""Exported generators of images with the methods of the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gantools import registry
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.config import TrainConfig, to_json
from gantools.data.images.source import open_images
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.export.file import export_model
from gantools.export.kinds.image_generator import ExportedImageGenerator
from gantools.export.runtime import load_exported


def test_the_same_seed_gives_the_library_s_images(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(40) % 2)
    data = ImageSet.load(open_images(tmp_path / "images.npz", labelled=True), ImageEncoder(ImageLayout(1, 16)))
    train = TrainConfig(steps=4, batch_size=8, eval_every=2, log_every=2, device="cpu")
    maker = ImageSynthesizer("dcgan", to_json(registry.get("dcgan", "generate", "image").tiny()), train).fit(data)
    file = load_exported(export_model(maker, tmp_path / "model.onnx").path, "cpu")
    assert isinstance(file, ExportedImageGenerator)
    for counts in ({"1": 3, "0": 2}, 7):
        (ours, label), (theirs, expected) = (one.sample(counts, seed=5) for one in (file, maker))
        assert label.tolist() == expected.tolist()
        assert (ours.int() - theirs.int()).abs().max() <= 1
