"""`ImageTranslator`: from pictures to a trained translator, and back: load, train, save, transform."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from gantools import registry
from gantools.config import TrainConfig, build, check
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import Bytes, Mask
from gantools.encode.images import ImageLayout, as_bytes
from gantools.encode.pictures import TranslationSet
from gantools.errors import ConfigError, DataError
from gantools.models.base import DataSpec, Translator
from gantools.nn.conditioning import ConditionSpec
from gantools.nn.degradations import Degradations
from gantools.train.grid import TranslationGridWriter
from gantools.train.loop import OnLook, OnProgress
from gantools.train.samplers import Examples, HeldOutPictures, Plain
from gantools.train.stores import Degraded, Pairs, Store, Unpaired
from gantools.train.trained import Trained, built_model, tensorboard_folder
from gantools.transform.checks import check_picture
from gantools.transform.tiles import TILE, in_tiles, tiles
from gantools.transform.translating import Translating

BATCH_SIZE = 16
EMA_DECAY = 0.999
LOOK_EVERY = 500  # steps
LOOK_SHARE = 0.05  # of the pictures, that training is judged by and does not learn from
LOOKED_AT = 64  # crops of these each time
FEWEST = 20  # pictures; of fewer none is kept from learning, and training is judged by all
SHOWN = 8  # pictures of a grid
SMALLEST = 16  # pixels of each side of a crop


@registry.kind("image-translator")
class ImageTranslator(Trained):
    """A translator of pictures: larger, without noise, in colour, without holes, or of another domain.

    model: a registered name. options: of that model, see `gantools models`. degrade: what is done to clean pictures, so
    that it is learned to be undone, as ("noise=25",); None for what the model is for. size: pixels of each side of the
    crops that are learned from; None for the model's choice, or less where the pictures are smaller. train: how long
    and on what it trains.

    Fitted attributes: `schema_` (ImageSchema of the pictures that it takes), `target_schema_` (of those it makes),
    `translator_` (Translator), `degradations_` (what clean pictures underwent, None for pairs), `report_`
    (TrainingReport), `fingerprint_` (digest of the files).
    """

    modality = "image"
    purpose = "transform"
    noun = "a translator of pictures"
    used_with = "`gantools transform`"
    net = "translator"
    loads_unfinished = True
    default_model = "pix2pix"

    schema_: ImageSchema
    target_schema_: ImageSchema
    translator_: Translator
    degradations_: Degradations | None

    def __init__(
        self,
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
        degrade: Sequence[str] | None = None,
        size: int | None = None,
        train: TrainConfig | None = None,
    ) -> None:
        self.model = model or self.default_model
        self.options = dict(options or {})
        self.degrade = degrade
        self.size = size
        self.train = train or self.default_train()

    @classmethod
    def default_train(cls, **given: Any) -> TrainConfig:
        """The training configuration that is taken where none is given. given: fields that are to differ."""
        return TrainConfig(**{"batch_size": BATCH_SIZE, "ema_decay": EMA_DECAY, "eval_every": LOOK_EVERY, **given})

    def fit(
        self,
        data: TranslationSet,
        *,
        folder: Path | str | None = None,
        resume: bool = False,
        grids: Path | str | None = None,
        on_look: OnLook | None = None,
        progress: OnProgress | None = None,
    ) -> Self:
        """Learn what to make of a picture.

        folder: write checkpoints there while training and the finished model at the end. resume: go on from the
        folder's last checkpoint. grids: a folder for pictures of what is made of some that were not learned from, now
        and then. on_look: called with the step and the averaged model each time it is judged, where there are no grids.
        progress: called now and then. Ctrl-C ends the training, and what has been learned is kept.

        Raises DataError for pictures that cannot be learned from, ConfigError for options, CheckpointError for the
        folder, TrainingError when nothing usable came out.
        """
        plan = planned(self.model, self.options or {}, self.degrade, self.size, data)
        events = tensorboard_folder(self.train, folder)
        self.schema_, self.target_schema_, self.fingerprint_ = plan.schema, data.target_schema, data.fingerprint
        self.degradations_, self.size_ = plan.degradations, plan.size
        self.translator_ = cast(Translator, self._new_model(self._spec(plan.scale), plan.options, self.train.seed))
        rest, looked_at = plan.stores(data, self.train.seed)
        if grids is not None:
            on_look = _grid_writer(Path(grids), looked_at, self.train.seed, events, paired=data.layout != "unpaired")
        examples = Examples(rest, Plain.of(len(rest), self.train.seed), HeldOutPictures.of(looked_at, LOOKED_AT))
        model = self._run(
            self.translator_, examples, self.train, folder=folder, resume=resume, progress=progress, on_look=on_look
        )
        self.translator_ = cast(Translator, model)
        self._keep(folder)
        return self.to(self.train.device)

    # -- use ---------------------------------------------------------------------------------------------------------

    @property
    def scale_(self) -> int:
        """Pixels of the picture that is made for each of the one given, along each side."""
        return self.translator_.scale

    @property
    def n_directions_(self) -> int:
        """2 where pictures of the second domain can be translated back."""
        return self.translator_.n_directions

    @property
    def fills_holes_(self) -> bool:
        """Whether it takes a mask."""
        return self.translator_.fills_holes

    @torch.no_grad()
    def transform(
        self,
        picture: Bytes,
        mask: Mask | None = None,
        *,
        reverse: bool = False,
        tile: int = TILE,
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Bytes:
        """What is made of a picture: [scale * H, scale * W, C'] uint8.

        picture: [H, W, C] uint8, with the channels of `schema_`; with those of `target_schema_` where it is reversed.
        mask: [H, W], true in holes, for a translator that fills them. reverse: from the second domain to the first.
        tile: pixels of each side of the tiles that a larger picture is cut into; nobody sees where. on_tile: called
        with the number of tiles done, and of all.

        Raises ConfigError for a mask or a direction that the model does not know, DataError for a picture of another
        shape.
        """
        if reverse and self.translator_.n_directions < 2:
            raise ConfigError(f"{self.model} knows one direction", where="reverse", remedy="leave it out")
        channels = (self.target_schema_ if reverse else self.schema_).channels
        check_picture(picture, mask, model=self.model, channels=channels, fills_holes=self.fills_holes_)
        translator, device = self.translator_, self.device_
        model = Translating(translator, reverse=reverse)

        def run(*given: Bytes) -> Bytes:
            tensors = (torch.from_numpy(np.array(part, order="C")).unsqueeze(0).to(device) for part in given)
            return cast(Bytes, model(*tensors)[0].cpu().numpy())

        height, width = picture.shape[:2]
        places = tiles(height, width, translator.reach, translator.multiple, tile)
        return in_tiles(run, picture, mask, places, self.scale_, on_tile)

    def degraded(self, picture: Bytes, seed: int = 0) -> tuple[Bytes, Mask | None]:
        """A clean picture [H, W, C] as the translator learned to undo it, and where its holes are: [H, W] or None.

        Raises ConfigError for a translator that learned from pairs or sets.
        """
        if self.degradations_ is None:
            raise ConfigError("it learned from pictures as they were", where="degraded", remedy="give its own inputs")
        random = torch.Generator().manual_seed(seed)
        x = torch.from_numpy(np.array(picture)).movedim(2, 0).unsqueeze(0).float() / 127.5 - 1
        worse = self.degradations_.cpu()(x, random)[0]
        mask = (worse[-1] > 0).numpy() if self.fills_holes_ else None
        worse = worse[:-1] if self.fills_holes_ else worse
        return as_bytes(worse).movedim(0, 2).contiguous().numpy(), mask

    # -- what `Trained` asks for -------------------------------------------------------------------------------------

    def _spec(self, scale: int) -> DataSpec[ImageLayout]:
        given = self.schema_.channels
        if self.degradations_ is not None:
            given = self.degradations_.channels(self.target_schema_.channels)
        source = ImageLayout(given, self.size_ // scale)
        return DataSpec(ImageLayout(self.target_schema_.channels, self.size_), ConditionSpec(image=source))

    def _modules(self) -> dict[str, nn.Module]:
        return {"translator": self.translator_}

    def _shape(self) -> dict[str, Any]:
        return {
            "size": self.size_,
            "degrade": None if self.degradations_ is None else self.degradations_.spelled,
            "target_schema": self.target_schema_.to_json(),
        }

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        made = cls(
            config["model"], config["options"], config["degrade"], config["size"], build(TrainConfig, config["train"])
        )
        made.schema_ = ImageSchema.from_json(dict(schema))
        made.target_schema_ = ImageSchema.from_json(dict(config["target_schema"]))
        made.degradations_ = None if config["degrade"] is None else Degradations.parse(config["degrade"])
        made.size_ = int(config["size"])
        spec = made._spec(int(config["options"].get("scale", 1)))
        made.translator_ = cast(Translator, built_model(made._model_class(), spec, made.options))
        return made

    def _facts(self) -> dict[str, Any]:
        return {
            "scale": self.scale_,
            "crops": f"{self.size_} x {self.size_} pixels",
            "undoes": [] if self.degradations_ is None else self.degradations_.spelled,
            "n_images": self.target_schema_.n_images,
        }


# --- planning a training ---


@dataclass(frozen=True)
class Plan:
    """How a translator learns from data. schema: of the pictures that it takes. size: of crops of the target."""

    cls: type[Translator]
    options: Any
    degradations: Degradations | None
    schema: ImageSchema
    size: int
    scale: int

    def stores(self, data: TranslationSet, seed: int) -> tuple[Store, Store]:
        """What is learned from, and what training is judged by."""
        n = max(1, round(LOOK_SHARE * len(data)))
        if len(data) < FEWEST:
            return self._store(data), self._store(data, turns=False)
        rest, held = data.split(n, seed)
        return self._store(rest), self._store(held, turns=False)

    def _store(self, data: TranslationSet, *, turns: bool = True) -> Store:
        turns = turns and self.cls.turns
        if self.degradations is not None:
            return Degraded(data.targets, self.degradations, self.size, turns)
        assert data.sources is not None
        if self.cls.learns_from == "unpaired":
            return Unpaired(data.sources, data.targets, self.size, turns)
        return Pairs(data.sources, data.targets, self.size, self.scale, turns)


def planned(
    model: str, options: Mapping[str, Any], degrade: Sequence[str] | None, size: int | None, data: TranslationSet
) -> Plan:
    """How `model` learns from these pictures. Raises ConfigError or DataError where it cannot."""
    cls = cast("type[Translator]", registry.get(model, "transform", "image"))
    given = dict(options)
    has_scale = "scale" in {field.name for field in dataclasses.fields(cls.Options)}
    if data.layout == "pairs" and has_scale:
        given.setdefault("scale", data.scale)
    built = build(cls.Options, given)
    built.require()
    scale = int(getattr(built, "scale", 1))
    degradations = _degradations(cls, degrade, scale, data)
    if data.layout == "pairs" and data.scale != scale:
        problem = (
            f"the targets are {data.scale} times as large as the sources, and {model} makes {scale} times as large"
        )
        remedy = "set scale to what the pairs have" if has_scale else "give pairs of one size, or use srgan"
        raise DataError(problem, where="pairs", remedy=remedy)
    schema = data.source_schema
    if schema is None:
        assert degradations is not None
        channels = degradations.channels(data.target_schema.channels) - degradations.makes_holes
        schema = dataclasses.replace(data.target_schema, channels=channels)
    return Plan(cls, built, degradations, schema, _crop(cls, size, scale, data), scale)


def _degradations(
    cls: type[Translator], degrade: Sequence[str] | None, scale: int, data: TranslationSet
) -> Degradations | None:
    if data.layout != "clean":
        if degrade:
            remedy = "leave it out, or give one folder of clean pictures"
            raise ConfigError("has no effect on pictures that come with others", where="degrade", remedy=remedy)
        if cls.fills_holes:
            raise DataError(f"{cls.name} learns from clean pictures", where="pairs", remedy="give one folder of them")
        if cls.learns_from == "pairs" and data.layout == "unpaired":
            remedy = "give the two of a pair the same name, or use cyclegan"
            raise DataError(f"no picture has a partner, and {cls.name} learns from pairs", where="pairs", remedy=remedy)
        return None
    if cls.learns_from == "unpaired":
        remedy = "put the pictures of each kind into folders trainA and trainB"
        raise DataError(f"{cls.name} learns from two sets of pictures", where="pairs", remedy=remedy)
    asked = [*(cls.default_degrade if degrade is None else degrade)]
    if scale > 1 and not any(text.split("=")[0] == "smaller" for text in asked):
        asked.append(f"smaller={scale}")
    if not asked:
        remedy = "say how, for instance noise=25, or give pairs: folders A and B with pictures of the same names"
        raise ConfigError(
            f"{cls.name} learns from pairs, or from pictures that it degrades", where="degrade", remedy=remedy
        )
    found = Degradations.parse(asked)
    if found.scale != scale:
        problem = f"pictures become {found.scale} times smaller, and {cls.name} makes them {scale} times larger"
        raise ConfigError(problem, where="degrade", remedy="leave `smaller` out, or set scale to it")
    if found.makes_holes != cls.fills_holes:
        what = "makes holes, which inpaint alone fills" if found.makes_holes else "makes no holes"
        raise ConfigError(what, where="degrade", remedy="use `inpaint` with holes")
    return found


def _crop(cls: type[Translator], size: int | None, scale: int, data: TranslationSet) -> int:
    """Pixels of each side of a crop of the target: a multiple of four pixels of the source."""
    step = 4 * scale
    if size is not None:
        rule = f"a multiple of {scale}, at least {SMALLEST}" if scale > 1 else f"at least {SMALLEST}"
        check(size >= SMALLEST and size % scale == 0, "size", f"must be {rule}")
        return size
    sides = [
        pictures.height.minimum(pictures.width) for pictures in (data.sources, data.targets) if pictures is not None
    ]
    shortest = min(int(side.median()) for side in (sides if scale == 1 else sides[-1:]))
    return max(-(-SMALLEST // step) * step, min(cls.crop, shortest) // step * step)


def _grid_writer(folder: Path, store: Store, seed: int, events: str | None, *, paired: bool) -> TranslationGridWriter:
    random = torch.Generator().manual_seed(seed)
    truth, condition = store.take(torch.arange(min(SHOWN, len(store))), random)
    return TranslationGridWriter(folder, cast(Tensor, condition.image), truth if paired else None, events)
