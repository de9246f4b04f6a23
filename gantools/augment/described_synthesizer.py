"""From pictures with descriptions to a generator that is told one: a caption, columns of a table, vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from gantools import registry
from gantools.augment.image_generator import ImageGenerator
from gantools.augment.latent import CHUNK_IMAGES, noise_of, seeds_of_run
from gantools.config import TrainConfig, build, check
from gantools.encode.descriptions import Descriptions
from gantools.encode.images import ImageSet
from gantools.models.base import GAN
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.nn.random_features import RandomFeatures
from gantools.train.grid import COLUMNS, GridWriter
from gantools.train.loop import OnLook, OnProgress
from gantools.train.samplers import ByDescription, Examples, Plain
from gantools.train.stores import Images, as_input
from gantools.train.trained import tensorboard_folder

LOOK_IMAGES = 512  # compared each time the training is judged
SHOWN_ROWS = 4  # of the pictures while it trains

Vectors = npt.NDArray[np.float32]


@registry.kind("described-image-generator")
class DescribedSynthesizer(ImageGenerator):
    """A generator of images that are described by a caption, by columns of numbers and categories, or by vectors.

    model: a registered name. options: of that model, see `gantools models`. train: how long and on what it trains.
    Fitted attributes: those of `ImageGenerator`, and `descriptions_` (Descriptions).
    """

    noun = "a generator of images from descriptions"
    used_with = "`gantools generate`"
    asked_by = "description"

    descriptions_: Descriptions

    def fit(
        self,
        data: ImageSet,
        frame: pd.DataFrame,
        *,
        caption: str | None = None,
        vectors: Vectors | None = None,
        folder: Path | str | None = None,
        resume: bool = False,
        grids: Path | str | None = None,
        on_look: OnLook | None = None,
        progress: OnProgress | None = None,
    ) -> Self:
        """Learn what images of each description look like.

        frame: a row for each image, its columns those that describe it; they may be none where there are vectors.
        caption: which column is text. vectors: [N, width], further descriptions that somebody else computed. folder,
        resume, grids, on_look, progress: as for `ImageSynthesizer.fit`.

        Raises DataError for descriptions that cannot be learned from, ConfigError for options, CheckpointError for the
        folder, TrainingError when nothing usable came out.
        """
        self.descriptions_ = Descriptions.fit(frame, caption, vectors, self.train.seed)
        self.schema_, self.encoder_, self.fingerprint_ = data.schema, data.encoder, data.fingerprint
        events = tensorboard_folder(self.train, folder)
        self._start(self._spec(len(data), self.descriptions_), flip=False)  # "left of" is not "right of"
        condition = self._told(frame, vectors)
        if grids is not None:
            shown = condition[torch.arange(SHOWN_ROWS * COLUMNS) % len(data)]
            on_look = GridWriter(Path(grids), self.encoder_, shown, self.train.seed, events)
        sampler = Plain.of(len(data), self.train.seed)
        places = torch.nonzero(sampler.rank < LOOK_IMAGES).squeeze(1)
        features, some = RandomFeatures(data.images.shape[1]), as_input(data.images[places])
        features.fit(some)
        criterion = ByDescription(condition[places], features(some), features)
        model = self._run(
            self.gan_, Examples(Images(data.images, condition), sampler, criterion), self.train,
            folder=folder, resume=resume, progress=progress, on_look=on_look,
        )  # fmt: skip
        self.gan_ = cast(GAN, model)
        self._keep(folder)
        return self.to(self.train.device)

    def sample(
        self,
        described: pd.DataFrame | int,
        vectors: Vectors | None = None,
        *,
        seed: int = 0,
        truncation: float | None = None,
    ) -> tuple[Tensor, pd.DataFrame]:
        """New images: one for each row of a table of descriptions, or so many of descriptions that were learned from.

        vectors: [N, width], where they belong to descriptions. truncation: as for `ImageSynthesizer.sample`. Returns
        images [N, C, size, size] uint8 on the CPU, and the descriptions.

        Raises ConfigError for a level that was not learned, vectors of another shape, or a negative number.
        """
        check(seed >= 0, "seed", "must not be negative")
        if isinstance(described, int):
            described, vectors = self.descriptions_.drawn(described, np.random.default_rng(seed))
        n, width = len(described), self.descriptions_.width
        shape = None if vectors is None else tuple(vectors.shape)
        check((shape or (n, 0)) == (n, width), "vectors", f"must be {n} rows of {width} numbers, not {shape}")
        condition = self._told(described, vectors)
        seeds: Sequence[int] = seeds_of_run(seed, n)
        layout = self.encoder_.layout
        images = torch.empty((n, layout.channels, layout.size, layout.size), dtype=torch.uint8)
        for start in range(0, n, CHUNK_IMAGES):
            part = slice(start, start + CHUNK_IMAGES)
            images[part] = self._made(noise_of(seeds[part], self.noise_width), condition[part], truncation)
        return images, described

    def _told(self, frame: pd.DataFrame, vectors: Vectors | None) -> Condition:
        """The conditions that rows of descriptions are. All are of one class."""
        one = torch.zeros(len(frame), dtype=torch.int64)
        return Condition(one, self.descriptions_.vectors(frame, vectors), self.descriptions_.captions(frame))

    @staticmethod
    def _spec(n: int, descriptions: Descriptions) -> ConditionSpec:
        return ConditionSpec((n,), descriptions.vector_width, descriptions.vocabulary, descriptions.n_words)

    def _shape(self) -> dict[str, Any]:
        return {**super()._shape(), "descriptions": self.descriptions_.to_json()}

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        maker = cls(config["model"], config["options"], build(TrainConfig, config["train"]))
        maker.descriptions_ = Descriptions.from_json(config["descriptions"])
        [n] = config["class_counts"]
        maker._rebuild(config, schema, cls._spec(n, maker.descriptions_))
        return maker

    def _facts(self) -> dict[str, Any]:
        found = self.descriptions_
        return {
            **super()._facts(),
            "caption": found.caption,
            "n_words": len(found.words),
            "numbers": list(found.numbers),
            "categories": list(found.levels),
            "vector_width": found.width,
        }
