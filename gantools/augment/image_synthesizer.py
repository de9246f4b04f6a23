"""From images with labels to a trained generator of such images, and back: load, train, save, sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor

from gantools import registry
from gantools.augment.image_generator import ImageGenerator
from gantools.augment.labels import wanted_labels
from gantools.augment.latent import from_seeds, seeds_of_run
from gantools.config import TrainConfig, build, check
from gantools.encode.images import ImageSet
from gantools.errors import ConfigError, DataError
from gantools.models.base import GAN
from gantools.nn.augment import flip_symmetric
from gantools.nn.conditioning import Condition
from gantools.nn.random_features import RandomFeatures
from gantools.train.grid import COLUMNS, MOST_ROWS, GridWriter
from gantools.train.loop import OnLook, OnProgress
from gantools.train.samplers import ByClass, ClassBalanced, Examples
from gantools.train.stores import Images, as_input
from gantools.train.trained import tensorboard_folder

LOOK_IMAGES = 128  # generated per class each time the training is judged
RARE = 500  # images of a class, half of whose real ones are varied before they are learned from


@registry.kind("image-generator")
class ImageSynthesizer(ImageGenerator):
    """A generator of images of classes.

    model: a registered name. options: of that model, see `gantools models`. train: how long and on what it trains.
    Fitted attributes: see `ImageGenerator`.
    """

    noun = "a generator of images"
    used_with = "`gantools augment --from` or `gantools generate`"

    def fit(
        self,
        data: ImageSet,
        *,
        folder: Path | str | None = None,
        resume: bool = False,
        grids: Path | str | None = None,
        on_look: OnLook | None = None,
        progress: OnProgress | None = None,
    ) -> Self:
        """Learn what images of each class look like.

        folder: write checkpoints there while training and the finished model at the end. resume: go on from the
        folder's last checkpoint. grids: a folder for a picture of generated images now and then, a row for each class,
        from the same noise each time. on_look: called with the step and the averaged model each time it is judged,
        where there are no grids. progress: called now and then. Ctrl-C ends the training, and what has been learned is
        kept.

        Raises DataError for images that cannot be learned from, ConfigError for options, CheckpointError for the
        folder, TrainingError when nothing usable came out.
        """
        counts = data.counts
        if sum(n > 0 for n in counts) < 2:
            raise DataError("there are images of one class only", remedy="give images of at least two classes")
        flip = flip_symmetric(data.images, data.label, len(counts))
        events = tensorboard_folder(self.train, folder)
        self.schema_, self.encoder_, self.fingerprint_ = data.schema, data.encoder, data.fingerprint
        # One rule for all classes: the discriminator sees every class through the same changes.
        options = self._start(self._condition(counts), bool(flip.all()))
        if grids is not None:
            shown = Condition(torch.arange(min(len(counts), MOST_ROWS)).repeat_interleave(COLUMNS))
            on_look = GridWriter(Path(grids), self.encoder_, shown, self.train.seed, events)
        examples = _examples(data, flip, options.class_balance, self.train.seed)
        model = self._run(
            self.gan_, examples, self.train, folder=folder, resume=resume, progress=progress, on_look=on_look
        )
        self.gan_ = cast(GAN, model)
        self._keep(folder)
        return self.to(self.train.device)

    def sample(
        self, counts: Mapping[str, int] | int, *, seed: int = 0, truncation: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """New images: exactly so many of each class, or so many in all in the training images' proportions.

        counts: class -> number of images, or a number. Returns images [N, C, size, size] uint8 and their labels [N],
        codes into `schema_.classes`, both on the CPU, class by class in the order given; every image has a seed of its
        own, see `augment.latent`. truncation: how far images may lie from the middle of their class, 0 to 1, for models
        that have a middle (stylegan); None for what the model was trained with.

        Raises ConfigError for an unknown class, a negative number, or a truncation that the model does not take.
        """
        check(seed >= 0, "seed", "must not be negative")
        label = torch.from_numpy(wanted_labels(counts, self.schema_.classes, self.class_counts_, "image"))
        return from_seeds(self, label, seeds_of_run(seed, len(label)), truncation), label

    def from_noise(self, noise: Tensor, label: Tensor, truncation: float | None = None) -> Tensor:
        """Images [N, C, size, size] uint8, on the CPU, see `latent.Maker`. Raises ConfigError for a truncation that the
        model does not take."""
        return self._made(noise, Condition(label), truncation)

    @torch.no_grad()
    def mixed(self, one: Tensor, other: Tensor, label: Tensor, n: int) -> Tensor:
        """n images [n, C, size, size] uint8, on the CPU, on the way from one noise [noise_width] to the other, style by
        style: the finest layers change first. label: [n] codes of classes.

        Raises ConfigError for a model without styles.
        """
        n_styles = self.gan_.n_styles
        if not n_styles:
            problem = "this generator has no styles to mix"
            raise ConfigError(problem, where="style_mix", remedy="use `interpolate`, or train the model stylegan")
        first, last = (each.to(self.device_).unsqueeze(0) for each in (one, other))
        condition = Condition(label.to(self.device_))
        made = []
        for k in range(n):
            n_kept = round(n_styles * (1 - k / max(1, n - 1)))
            made.append(self.gan_.mix(first, last, condition[k : k + 1], n_kept))
        return self.encoder_.inverse(torch.cat(made)).movedim(3, 1).cpu()

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        maker = cls(config["model"], config["options"], build(TrainConfig, config["train"]))
        maker._rebuild(config, schema, cls._condition(config["class_counts"]))
        return maker

    def _facts(self) -> dict[str, Any]:
        return {"target": "folder", **super()._facts(), **self.schema_.facts()}


def _examples(data: ImageSet, flip: Tensor, class_balance: float, seed: int) -> Examples:
    """What the loop trains on.

    All images train: a generator needs each of a rare class, and looks compare distributions. Those of rare classes are
    varied, so that a generator learns the ways in which images may differ and not fifty images by heart.
    """
    n_classes = len(data.counts)
    sampler = ClassBalanced.of(data.label, n_classes, class_balance, seed, held_out=0.0)
    features = RandomFeatures(data.images.shape[1])
    features.fit(as_input(data.images[torch.cat(sampler.judged_by)]))
    reference = tuple(features(as_input(data.images[places])) for places in sampler.judged_by)
    vary = 1 / (1 + (torch.bincount(data.label, minlength=n_classes) / RARE) ** 2)
    store = Images(data.images, Condition(data.label), vary[data.label], flip[data.label])
    return Examples(store, sampler, ByClass(reference, data.schema.classes, LOOK_IMAGES, features))
