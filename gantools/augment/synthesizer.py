"""From a data frame to a trained generator of such rows, and back: describe, encode, train, save, sample, decode."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import torch

from gantools import registry
from gantools.augment.choose import Anchors, balancing, refined
from gantools.augment.rows import CHUNK_ROWS, RowGenerator, chunk_seeds
from gantools.augment.small import SmallClasses
from gantools.config import TrainConfig, build, check, to_json
from gantools.data.tables.raw import Raw, labelled_rows, labels_to_codes, to_raw
from gantools.data.tables.schema import Schema, infer_schema
from gantools.encode.table import TableEncoder
from gantools.errors import CheckpointError, ConfigError, DataError
from gantools.models.base import GAN, DataSpec, GANOptions
from gantools.train.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint
from gantools.train.data import TrainingRows
from gantools.train.loop import Snapshot, one_thread, resolve_device, train
from gantools.train.monitor import Progress, TrainingReport
from gantools.train.resume import digest, resumable, versions


class Synthesizer:
    """A conditional generator of table rows.

    model: a registered name. options: of that model, see `gantools models`. train: how long and on what it trains.

    Fitted attributes: `schema_`, `encoder_` (TableEncoder), `gan_` (GAN), `report_` (TrainingReport),
    `fingerprint_` (digest of the training rows).

        >>> from sklearn.datasets import load_wine
        >>> frame = load_wine(as_frame=True).frame
        >>> maker = Synthesizer(train=TrainConfig(steps=20)).fit(frame, "target")
        >>> maker.sample({2: 3})["target"].tolist()
        [2, 2, 2]
    """

    kind: ClassVar[str] = "table-generator"
    schema_: Schema
    encoder_: TableEncoder
    gan_: GAN
    report_: TrainingReport
    fingerprint_: str

    def __init__(
        self, model: str = "tabular", options: Mapping[str, Any] | None = None, train: TrainConfig | None = None
    ) -> None:
        self.model = model
        self.options = dict(options or {})
        self.train = train or TrainConfig()

    def fit(
        self,
        frame: pd.DataFrame,
        target: str,
        *,
        schema: Schema | None = None,
        folder: Path | str | None = None,
        resume: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> Synthesizer:
        """Learn what rows of each class look like.

        target: the label's column. schema: what the columns are, inferred when not given. folder: write checkpoints
        there while training and the finished model at the end. resume: go on from the folder's last checkpoint (the
        same data and configuration give the same model as an uninterrupted run). progress: called now and then.

        Ctrl-C ends the training, and what has been learned is kept; a folder keeps its last checkpoint. With
        `train.devices` > 1 see `train.loop.train` for what is different. TensorBoard's events go to
        `<folder>.tensorboard`.

        Raises DataError for data that cannot be learned from, ConfigError for options, CheckpointError for the folder,
        TrainingError when nothing usable came out.
        """
        cls = _generator_class(self.model)
        options = cast(GANOptions, build(cls.Options, self.options))
        folder = None if folder is None else Path(folder)
        if self.train.tensorboard and folder is None:
            raise ConfigError("needs a folder to write to", where="tensorboard", remedy="give `fit` a folder")
        if schema is not None and schema.target != target:
            raise ConfigError(f"its target is {schema.target!r}, not {target!r}", where="schema")
        if schema is not None and target not in frame.columns:
            raise DataError("lacks the column of the labels", where=f"column '{target}'")
        self.schema_ = schema or infer_schema(frame, target)
        if not self.schema_.numeric and not self.schema_.categorical:
            raise DataError(
                "no column is left to learn from", remedy="every one is constant or an identifier; see `gantools info`"
            )
        codes = labels_to_codes(frame[target], self.schema_)
        raw = to_raw(frame, self.schema_)
        counts = np.bincount(codes, minlength=len(self.schema_[target].levels))
        if (counts > 0).sum() < 2:
            raise DataError(
                "has one class only", where=f"column '{target}'", remedy="give rows of at least two classes"
            )
        self.encoder_ = TableEncoder.fit(raw, self.schema_, _class_weight(codes, counts, options.class_balance))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.train.seed)
            self.gan_ = cls(DataSpec(self.encoder_.layout, tuple(int(n) for n in counts)), options)
        label = torch.from_numpy(codes)
        table = self.encoder_.encode(raw)
        self._small = SmallClasses.of(self.encoder_, table, label, len(counts))
        rows = TrainingRows.split(self.encoder_, table, label, len(counts), options.class_balance, self.train.seed)
        self.fingerprint_ = fingerprint = digest(raw.numbers, raw.codes, codes)
        start = resumable(folder, self._config(fingerprint), "gan.") if resume and folder is not None else None
        outcome = train(
            self.gan_,
            rows,
            [str(level) for level in self.schema_[target].levels],
            self.train,
            resume=start,
            on_progress=progress,
            on_checkpoint=partial(self._keep, folder, fingerprint) if folder is not None else None,
            tensorboard=f"{folder.resolve()}.tensorboard" if self.train.tensorboard and folder is not None else None,
        )
        self.gan_ = cast(GAN, outcome.model).eval()
        self.report_, self._metrics = outcome.report, outcome.metrics
        if folder is not None and self.report_.stopped != "interrupted":
            self.save(folder)
        return self.to(self.train.device)

    def _keep(self, folder: Path, fingerprint: str, snapshot: Snapshot) -> None:
        """Write a checkpoint of a run that goes on."""
        config, weights = self._config(fingerprint), self._weights(snapshot.weights)
        schema = self.schema_.to_json()
        save_checkpoint(
            folder, Checkpoint(config, schema, weights, snapshot.metrics, snapshot.state, snapshot.counters)
        )

    def sample(
        self,
        counts: Mapping[Any, int] | int,
        *,
        seed: int = 0,
        to_balance: pd.DataFrame | None = None,
        refine: bool = True,
    ) -> pd.DataFrame:
        """New rows: exactly so many of each label, or so many in all with labels in the training rows' proportions.

        counts: label -> number of rows, or a number. to_balance: real rows, target included, that are to be balanced:
        the new rows are then chosen to help a classifier on them. refine: let the model's classifier choose among more
        rows than are wanted, so that they fit their labels better (`augment.choose`); four times faster without. Both
        do nothing for a model without a classifier. Returns the training frame's columns, order and dtypes; rows stand
        label by label for a mapping and shuffled for a number. Raises ConfigError for an unknown label or a negative
        number.
        """
        check(seed >= 0, "seed", "must not be negative")
        rng = np.random.default_rng(seed)
        levels = self.schema_[str(self.schema_.target)].levels
        label = wanted_labels(counts, levels, self.gan_.spec.class_counts, rng)
        return self._rows(label, seed, rng, to_balance, refine)

    def _rows(
        self, label: np.ndarray, seed: int, rng: np.random.Generator, to_balance: pd.DataFrame | None, refine: bool
    ) -> pd.DataFrame:
        device = next(self.gan_.parameters()).device
        anchors = (
            self._anchors(to_balance, torch.Generator(device).manual_seed(seed)) if to_balance is not None else None
        )
        workers = torch.get_num_threads() if device.type == "cpu" else 1
        maker = self.row_generator()

        @torch.no_grad()
        def rows(chunk: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
            start, chunk_seed = chunk
            random = torch.Generator(device).manual_seed(chunk_seed)
            part = torch.from_numpy(label[start : start + CHUNK_ROWS]).to(device)
            if (refine or anchors is not None) and self.gan_.judges:
                x = refined(self.gan_, part, random) if anchors is None else balancing(self.gan_, part, anchors, random)
                noise = torch.randn((len(part), maker.finish_width), device=device, generator=random)
                n, c = maker.finish(x, part, noise)
            else:
                n, c = maker(torch.randn((len(part), maker.noise_width), device=device, generator=random), part)
            return n.cpu().numpy(), c.cpu().numpy()

        # On a CPU, chunks in parallel with one thread each beat threads within a chunk, which wait for one another.
        with one_thread(), ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            numbers, codes = zip(*pool.map(rows, chunk_seeds(len(label), seed)), strict=True)
        return labelled_rows(Raw(np.concatenate(numbers), np.concatenate(codes)), label, self.schema_, rng)

    @torch.no_grad()
    def rows_from(self, noise: torch.Tensor, label: np.ndarray) -> pd.DataFrame:
        """The rows that noise [N, noise_width of `row_generator()`] and label codes [N] stand for, not refined."""
        maker = self.row_generator()
        device = maker.pool_size.device
        numbers, codes = maker(noise.to(device), torch.from_numpy(label).to(device))
        raw = Raw(numbers.cpu().numpy(), codes.cpu().numpy())
        return labelled_rows(raw, label, self.schema_, np.random.default_rng(0))

    def row_generator(self) -> RowGenerator:
        """The trained generator with all that turns its output into raw rows."""
        pools = [len(self.schema_[name].pooled) for name in self.schema_.categorical]
        device = next(self.gan_.parameters()).device
        return RowGenerator(self.gan_, self._small, self.encoder_, pools).to(device).eval()

    def _anchors(self, to_balance: pd.DataFrame, random: torch.Generator) -> Anchors:
        label = torch.from_numpy(labels_to_codes(to_balance[str(self.schema_.target)], self.schema_)).to(random.device)
        return Anchors.of(self.encoder_, self.encoder_.encode(to_raw(to_balance, self.schema_)), label, random)

    def to(self, device: str) -> Synthesizer:
        """Sample on another device ("auto", "cpu", "cuda", ...)."""
        where = resolve_device(device)
        for module in (self.gan_, self.encoder_, self._small):
            module.to(where)
        return self

    def save(self, folder: Path | str) -> None:
        """Write the trained model as a checkpoint folder. Raises CheckpointError when it cannot be written."""
        config = {**self._config(self.fingerprint_), "report": self.report_.to_json()}
        save_checkpoint(
            folder, Checkpoint(config, self.schema_.to_json(), self._weights(self.gan_.state_dict()), self._metrics)
        )

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Synthesizer:
        """Read a folder that `save` or `fit` wrote, on whichever device it was made. Raises CheckpointError."""
        checkpoint = load_checkpoint(folder, "table-generator")
        config = checkpoint.config
        try:
            maker = cls(config["model"], config["options"], build(TrainConfig, config["train"]))
            maker.schema_ = Schema.from_json(checkpoint.schema)
            maker.encoder_ = TableEncoder.from_json(config["encoder"])
            maker._small = SmallClasses(config["small_rows"], maker.encoder_.layout)
            gan_class = _generator_class(maker.model)
            spec = DataSpec(maker.encoder_.layout, tuple(config["class_counts"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"its configuration lacks {error}", where=str(folder), remedy="train again"
            ) from error
        maker.gan_ = gan_class(spec, build(gan_class.Options, maker.options)).eval()
        for module, prefix in ((maker.encoder_, "encoder."), (maker.gan_, "gan."), (maker._small, "small.")):
            load_weights(module, checkpoint.weights, prefix, str(folder))
        maker._metrics, maker.fingerprint_ = checkpoint.metrics, str(config.get("data", ""))
        # One killed in training has the best weights so far, which can be sampled from.
        maker.report_ = TrainingReport.of(config.get("report"), checkpoint.counters)
        return maker.to(device)

    def _weights(self, gan: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        weights = {f"gan.{k}": v for k, v in gan.items()}
        weights |= {f"encoder.{k}": v for k, v in self.encoder_.state_dict().items()}
        return weights | {f"small.{k}": v for k, v in self._small.state_dict().items()}

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.gan_.parameters()).device

    def described(self) -> dict[str, Any]:
        """What a checkpoint's config.json says of the run."""
        return self._config(self.fingerprint_)

    def _config(self, fingerprint: str) -> dict[str, Any]:
        return {
            "kind": "table-generator",
            "model": self.model,
            "options": dataclasses.asdict(self.gan_.options),
            "train": to_json(self.train),
            "class_counts": list(self.gan_.spec.class_counts),
            "encoder": self.encoder_.to_json(),
            "small_rows": len(self._small.label),
            "data": fingerprint,
            "versions": versions(),
        }


def wanted_labels(
    counts: Mapping[Any, int] | int, levels: Sequence[Any], class_counts: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """The code of each row that is to be made: [N] int64, label by label for a mapping and shuffled for a number.

    counts: as for `Synthesizer.sample`. levels: the labels. class_counts: rows of each that were learned from. Raises
    ConfigError for an unknown label, one without rows, or a negative number.
    """
    if isinstance(counts, Mapping):
        place = {level: code for code, level in enumerate(levels)}
        unknown = [label for label in counts if label not in place]
        if unknown:
            listed = ", ".join(map(repr, levels[:20]))
            raise ConfigError(f"there is no label {unknown[0]!r}", where="counts", remedy=f"the labels are {listed}")
        wanted = [(place[label], int(n)) for label, n in counts.items()]
    else:
        wanted = list(enumerate(_proportional(class_counts, int(counts))))
    if any(n < 0 for _, n in wanted):
        raise ConfigError("the number of rows must not be negative", where="counts")
    unlearned = [levels[code] for code, n in wanted if n and not class_counts[code]]
    if unlearned:
        raise ConfigError(f"there was no row of {unlearned[0]!r} to learn from", where="counts")
    label = np.repeat([code for code, _ in wanted], [n for _, n in wanted]).astype(np.int64)
    if not isinstance(counts, Mapping):
        rng.shuffle(label)
    return label


def _class_weight(codes: np.ndarray, counts: np.ndarray, balance: float) -> np.ndarray:
    """Weight of each row: a share `balance` spread evenly over classes, the rest over rows."""
    present = (counts > 0).sum()
    weight: np.ndarray = balance / (present * counts[codes]) + (1 - balance) / len(codes)
    return weight


def _proportional(counts: Sequence[int], n: int) -> list[int]:
    """n split in the proportions of counts, largest remainders first."""
    if n < 0:
        return [n]
    exact = np.array(counts, dtype=float) / max(1, sum(counts)) * n
    whole = np.floor(exact).astype(int)
    for code in np.argsort(whole - exact, kind="stable")[: n - whole.sum()]:
        whole[code] += 1
    return [int(w) for w in whole]


def _generator_class(name: str) -> type[GAN]:
    return cast(type[GAN], registry.get(name, "generate"))
