"""From images with labels to a trained generator of such images, and back: load, train, save, sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from gantools import registry
from gantools.config import TrainConfig, build, check, to_json
from gantools.data.images.source import ImageSchema
from gantools.encode.images import ImageEncoder, ImageSet
from gantools.errors import CheckpointError, ConfigError, DataError
from gantools.models.base import GAN, DataSpec
from gantools.models.image import ImageGANOptions
from gantools.nn.augment import flip_symmetric
from gantools.train.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint
from gantools.train.grid import GridWriter
from gantools.train.images import TrainingImages
from gantools.train.loop import OnLook, Snapshot, resolve_device, train
from gantools.train.monitor import Progress, TrainingReport
from gantools.train.resume import resumable, versions

CHUNK_IMAGES = 256  # sampled at a time
BATCH_SIZE = 64
EMA_DECAY = 0.999
LOOK_EVERY = 500  # steps


def default_train(**given: Any) -> TrainConfig:
    """A training configuration with what suits images where nothing is given."""
    return TrainConfig(**{"batch_size": BATCH_SIZE, "ema_decay": EMA_DECAY, "eval_every": LOOK_EVERY, **given})


class ImageSynthesizer:
    """A conditional generator of images.

    model: a registered name. options: of that model, see `gantools models`. train: how long and on what it trains.

    Fitted attributes: `schema_` (ImageSchema), `encoder_` (ImageEncoder), `gan_` (GAN), `report_` (TrainingReport),
    `fingerprint_` (digest of the training images).
    """

    kind: ClassVar[str] = "image-generator"
    schema_: ImageSchema
    encoder_: ImageEncoder
    gan_: GAN
    report_: TrainingReport
    fingerprint_: str

    def __init__(
        self, model: str = "lean", options: Mapping[str, Any] | None = None, train: TrainConfig | None = None
    ) -> None:
        self.model = model
        self.options = dict(options or {})
        self.train = train or default_train()

    def fit(
        self,
        data: ImageSet,
        *,
        folder: Path | str | None = None,
        resume: bool = False,
        grids: Path | str | None = None,
        on_look: OnLook | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> ImageSynthesizer:
        """Learn what images of each class look like.

        folder: write checkpoints there while training and the finished model at the end. resume: go on from the
        folder's last checkpoint. grids: a folder for a picture of generated images now and then, a row for each class,
        from the same noise each time. on_look: called with the step and the averaged model each time it is judged,
        where there are no grids. progress: called now and then. Ctrl-C ends the training, and what has been learned is
        kept.

        Raises DataError for images that cannot be learned from, ConfigError for options, CheckpointError for the
        folder, TrainingError when nothing usable came out.
        """
        cls = _generator_class(self.model)
        counts = data.counts
        if sum(n > 0 for n in counts) < 2:
            raise DataError("there are images of one class only", remedy="give images of at least two classes")
        given = dict(self.options)
        if "flip" in {f.name for f in dataclasses.fields(cls.Options)} and "flip" not in given:
            # One rule for all classes: the discriminator sees every class through the same changes.
            given["flip"] = bool(flip_symmetric(data.images, data.label, len(counts)).all())
        options = cast(ImageGANOptions, build(cls.Options, given))
        folder = None if folder is None else Path(folder)
        if self.train.tensorboard and folder is None:
            raise ConfigError("needs a folder to write to", where="tensorboard", remedy="give `fit` a folder")
        self.schema_, self.encoder_, self.fingerprint_ = data.schema, data.encoder, data.fingerprint
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.train.seed)
            self.gan_ = cls(DataSpec(data.encoder.layout, tuple(counts)), options)
        rows = TrainingImages.of(data.images, data.label, len(counts), options.class_balance, self.train.seed)
        start = None
        if resume and folder is not None:
            start = resumable(folder, self._config(data.fingerprint), "gan.")
        events = f"{folder.resolve()}.tensorboard" if self.train.tensorboard and folder is not None else None
        if grids is not None:
            on_look = GridWriter(Path(grids), self.encoder_, len(counts), self.train.seed, events)
        outcome = train(
            self.gan_,
            rows,
            data.schema.classes,
            self.train,
            resume=start,
            on_progress=progress,
            on_checkpoint=partial(self._keep, folder, data.fingerprint) if folder is not None else None,
            on_look=on_look,
            tensorboard=events,
        )
        self.gan_ = cast(GAN, outcome.model).eval()
        self.report_, self._metrics = outcome.report, outcome.metrics
        if folder is not None and self.report_.stopped != "interrupted":
            self.save(folder)
        return self.to(self.train.device)

    def _keep(self, folder: Path, fingerprint: str, snapshot: Snapshot) -> None:
        """Write a checkpoint of a run that goes on."""
        config, weights = self._config(fingerprint), _prefixed(snapshot.weights)
        schema = self.schema_.to_json()
        save_checkpoint(
            folder, Checkpoint(config, schema, weights, snapshot.metrics, snapshot.state, snapshot.counters)
        )

    def sample(self, counts: Mapping[str, int], *, seed: int = 0) -> tuple[Tensor, Tensor]:
        """New images, exactly so many of each class.

        counts: class -> number of images. Returns images [N, C, size, size] uint8 and their labels [N], codes into
        `schema_.classes`, both on the CPU, class by class in the order given. Raises ConfigError for an unknown class
        or a negative number.
        """
        check(seed >= 0, "seed", "must not be negative")
        label = wanted_classes(counts, self.schema_.classes, self.gan_.spec.class_counts)
        return self.drawn(label, torch.Generator(self._device).manual_seed(seed)), label

    @torch.no_grad()
    def drawn(self, label: Tensor, random: torch.Generator) -> Tensor:
        """Images [N, C, size, size] uint8 of the classes label [N], on the CPU."""
        layout = self.encoder_.layout
        images = torch.empty((len(label), layout.channels, layout.size, layout.size), dtype=torch.uint8)
        for start in range(0, len(label), CHUNK_IMAGES):
            part = slice(start, start + CHUNK_IMAGES)
            made = self.gan_.sample(label[part].to(random.device), random)
            images[part] = self.encoder_.inverse(made).movedim(3, 1).cpu()
        return images

    @property
    def _device(self) -> torch.device:
        return next(self.gan_.parameters()).device

    def to(self, device: str) -> ImageSynthesizer:
        """Sample on another device ("auto", "cpu", "cuda", ...)."""
        self.gan_.to(resolve_device(device))
        return self

    def save(self, folder: Path | str) -> None:
        """Write the trained model as a checkpoint folder. Raises CheckpointError when it cannot be written."""
        config = {**self._config(self.fingerprint_), "report": self.report_.to_json()}
        weights = _prefixed(self.gan_.state_dict())
        save_checkpoint(folder, Checkpoint(config, self.schema_.to_json(), weights, self._metrics))

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> ImageSynthesizer:
        """Read a folder that `save` or `fit` wrote, on whichever device it was made. Raises CheckpointError."""
        checkpoint = load_checkpoint(folder, "image-generator")
        config = checkpoint.config
        try:
            maker = cls(config["model"], config["options"], build(TrainConfig, config["train"]))
            maker.schema_ = ImageSchema.from_json(checkpoint.schema)
            maker.encoder_ = ImageEncoder.from_json(config["encoder"])
            spec = DataSpec(maker.encoder_.layout, tuple(config["class_counts"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"its configuration lacks {error}", where=str(folder), remedy="train again"
            ) from error
        gan_class = _generator_class(maker.model)
        maker.gan_ = gan_class(spec, build(gan_class.Options, maker.options)).eval()
        load_weights(maker.gan_, checkpoint.weights, "gan.", str(folder))
        maker._metrics, maker.fingerprint_ = checkpoint.metrics, str(config.get("data", ""))
        maker.report_ = TrainingReport.of(config.get("report"), checkpoint.counters)
        return maker.to(device)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.gan_.parameters()).device

    def described(self) -> dict[str, Any]:
        """What a checkpoint's config.json says of the run."""
        return self._config(self.fingerprint_)

    def _config(self, fingerprint: str) -> dict[str, Any]:
        return {
            "kind": "image-generator",
            "model": self.model,
            "options": dataclasses.asdict(self.gan_.options),
            "train": to_json(self.train),
            "class_counts": list(self.gan_.spec.class_counts),
            "encoder": self.encoder_.to_json(),
            "data": fingerprint,
            "versions": versions(),
        }


def wanted_classes(counts: Mapping[str, int], classes: Sequence[str], class_counts: Sequence[int]) -> Tensor:
    """The code of each image that is to be made: [N] int64, class by class in the order given.

    Raises ConfigError for an unknown class, one without images, or a negative number.
    """
    place = {name: code for code, name in enumerate(classes)}
    for name, n in counts.items():
        if name not in place:
            listed = ", ".join(classes[:20])
            raise ConfigError(f"there is no class {name!r}", where="counts", remedy=f"the classes are {listed}")
        if n < 0:
            raise ConfigError("the number of images must not be negative", where="counts")
        if n and not class_counts[place[name]]:
            raise ConfigError(f"there was no image of {name!r} to learn from", where="counts")
    codes = torch.tensor([place[name] for name in counts], dtype=torch.int64)
    return torch.repeat_interleave(codes, torch.tensor(list(counts.values()), dtype=torch.int64))


def _prefixed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"gan.{name}": value for name, value in weights.items()}


def _generator_class(name: str) -> type[GAN]:
    return cast(type[GAN], registry.get(name, "generate", "image"))
