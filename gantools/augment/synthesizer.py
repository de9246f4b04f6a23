"""From a data frame to a trained generator of such rows, and back: describe, encode, train, save, sample, decode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import torch
from torch import nn

from gantools import registry
from gantools.augment.asked import Asked, known_cells
from gantools.augment.choose import Anchors, balancing, refined
from gantools.augment.conditional import ConditionalRows, Outlook
from gantools.augment.generator import Generator
from gantools.augment.labels import wanted_labels
from gantools.augment.rows import CHUNK_ROWS, RowGenerator, chunk_seeds, in_threads
from gantools.augment.small import SmallClasses
from gantools.config import TrainConfig, build, check
from gantools.data.tables.column import Kind
from gantools.data.tables.raw import Raw, labelled_rows, labels_to_codes, to_raw
from gantools.data.tables.rules import find_rules
from gantools.data.tables.schema import Schema, as_frame, infer_schema, own_names, text_names
from gantools.encode.rules import RuleKeeper
from gantools.encode.table import EncodedTable, TableEncoder
from gantools.errors import ConfigError, DataError
from gantools.models.base import GAN, ConditionalOptions, DataSpec
from gantools.nn.conditioning import Condition
from gantools.train.loop import OnProgress
from gantools.train.resume import digest
from gantools.train.samplers import ByClass, ByLikelihood, ClassBalanced, Examples
from gantools.train.stores import Rows
from gantools.train.trained import built_model, tensorboard_folder

LOOK_ROWS = 256  # generated per class each time the training is judged
MOST_COLUMNS = 64  # up to which the default model has a net for each
LOOK_EVERY = 50  # steps after which it is judged by default: rows are quickly looked at
ATTEMPTS = 50  # to make rows that fulfil a condition and the table's rules
MOST_REDRAWN = 20_000  # rows in one of these attempts but the first
LEAST_JUDGED = 20  # rows of a class from which some are held out to judge the likelihood by
MOST_JUDGED = 2048  # of a class


@registry.kind("table-generator")
class Synthesizer(Generator):
    """A conditional generator of table rows.

    model: a registered name; by default "autoregressive", and "tabular" for tables of more than 64 columns, whose nets
    for each column would take long to export. options: of that model, see `gantools models`. train: how long and on
    what it trains.

    Fitted attributes: `schema_`, `encoder_` (TableEncoder), `gan_` (GAN), `report_` (TrainingReport),
    `fingerprint_` (digest of the training rows).

        >>> from sklearn.datasets import load_wine
        >>> frame = load_wine(as_frame=True).frame
        >>> maker = Synthesizer(train=TrainConfig(steps=20)).fit(frame, "target")
        >>> maker.sample({2: 3})["target"].tolist()
        [2, 2, 2]
    """

    modality = "table"
    noun = "a generator of rows"
    used_with = "`gantools augment --from` or `gantools generate`"
    default_model = "autoregressive"
    default_of_wide = "tabular"

    schema_: Schema
    encoder_: TableEncoder
    small_: SmallClasses

    @classmethod
    def default_train(cls, **given: Any) -> TrainConfig:
        return TrainConfig(**{"eval_every": LOOK_EVERY, **given})

    def fit(
        self,
        frame: pd.DataFrame,
        target: str | int,
        *,
        schema: Schema | None = None,
        rules: bool = True,
        folder: Path | str | None = None,
        resume: bool = False,
        progress: OnProgress | None = None,
    ) -> Self:
        """Learn what rows of each class look like.

        target: the label's column; a name that is no text, or that name as text. schema: what the columns are, inferred
        when not given. rules: look for what holds in every row, and keep it in rows that are made. folder: write
        checkpoints there while training and the finished model at the end. resume: go on from the folder's last
        checkpoint (the same data and configuration give the same model as an uninterrupted run). progress: called now
        and then.

        Ctrl-C ends the training, and what has been learned is kept; a folder keeps its last checkpoint. With
        `train.devices` > 1 see `train.loop.train` for what is different. TensorBoard's events go to
        `<folder>.tensorboard`.

        Raises DataError for data that cannot be learned from, ConfigError for options, CheckpointError for the folder,
        TrainingError when nothing usable came out.
        """
        given = as_frame(frame)
        if self.takes_default and given.shape[1] > MOST_COLUMNS:
            self.model = self.default_of_wide
        cls = self._generator_class()
        frame, target = text_names(given), str(target)
        options = cast(ConditionalOptions, build(cls.Options, self.options))
        tensorboard_folder(self.train, folder)
        if schema is not None and schema.target != target:
            raise ConfigError(f"its target is {schema.target!r}, not {target!r}", where="schema")
        if schema is not None and target not in frame.columns:
            raise DataError("lacks the column of the labels", where=f"column '{target}'")
        self.schema_ = schema or infer_schema(given, target)
        if not self.schema_.numeric and not self.schema_.categorical:
            raise DataError(
                "no column is left to learn from", remedy="every one is constant or an identifier; see `gantools info`"
            )
        codes = labels_to_codes(frame[target], self.schema_)
        raw = to_raw(frame, self.schema_)
        if rules:
            self.schema_ = replace(self.schema_, rules=find_rules(raw, self.schema_))
        counts = np.bincount(codes, minlength=len(self.schema_[target].levels))
        if (counts > 0).sum() < 2:
            raise DataError(
                "has one class only", where=f"column '{target}'", remedy="give rows of at least two classes"
            )
        seed = self.train.seed
        weight = _class_weight(codes, counts, options.class_balance)
        self.encoder_ = TableEncoder.fit(raw, self.schema_, weight, fine=True)
        spec = DataSpec(self.encoder_.layout, self._condition(counts.tolist()))
        self.gan_ = cast(GAN, self._new_model(spec, options, seed))
        label = torch.from_numpy(codes)
        table = self.encoder_.encode(raw)
        self.small_ = SmallClasses.of(self.encoder_, table, label, len(counts))
        self.fingerprint_ = digest(raw.numbers, raw.codes, codes)
        names = tuple(map(str, self.schema_[target].levels))
        examples = _examples(self.encoder_, table, label, names, options.class_balance, seed, cls.has_likelihood)
        beside = {"encoder": self.encoder_, "small": self.small_}
        model = self._run(
            self.gan_, examples, self.train, folder=folder, resume=resume, progress=progress, beside=beside
        )
        self.gan_ = cast(GAN, model)
        self._keep(folder)
        return self.to(self.train.device)

    def sample(
        self,
        counts: Mapping[Any, int] | int,
        *,
        seed: int = 0,
        to_balance: pd.DataFrame | None = None,
        refine: bool | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """New rows: exactly so many of each label, or so many in all with labels in the training rows' proportions.

        counts: label -> number of rows, or a number. to_balance: real rows, target included, that are to be balanced:
        the new rows are then chosen to help a classifier on them. refine: let the model's classifier choose among more
        rows than are wanted, so that they fit their labels better (`augment.choose`); three times faster without. None
        for yes, unless the model's own rows are the better ones. Both do nothing for a model without a classifier.
        where: what every row must be besides, in any column, as `Asked.of` has it: {"age": (30, 40), "city": None}. Its
        other cells come as they do in such rows. By models with a likelihood alone, and not with `to_balance`.

        Returns the training frame's columns, order and dtypes; rows stand label by label for a mapping and shuffled for
        a number. Raises ConfigError for an unknown label, a negative number, or for what no row can be.
        """
        check(seed >= 0, "seed", "must not be negative")
        if where:
            check(to_balance is None, "to_balance", "has no meaning with `where`")
            return self._rows_where(counts, seed, self._asked(where))
        rng = np.random.default_rng(seed)
        levels = self.schema_[str(self.schema_.target)].levels
        label = wanted_labels(counts, levels, self.class_counts_)
        if not isinstance(counts, Mapping):
            rng.shuffle(label)
        refine = not self.gan_.has_likelihood if refine is None else refine
        return self._rows(label, seed, rng, to_balance, refine)

    def _rows(
        self, label: np.ndarray, seed: int, rng: np.random.Generator, to_balance: pd.DataFrame | None, refine: bool
    ) -> pd.DataFrame:
        device = self.device_
        anchors = (
            self._anchors(to_balance, torch.Generator(device).manual_seed(seed)) if to_balance is not None else None
        )
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
                noise = torch.randn((len(part), maker.noise_width), device=device, generator=random)
                n, c = maker.in_slices(noise, part)
            return n.cpu().numpy(), c.cpu().numpy()

        numbers, codes = zip(*in_threads(rows, chunk_seeds(len(label), seed), device), strict=True)
        raw = Raw(np.concatenate(numbers), np.concatenate(codes))
        return own_names(labelled_rows(raw, label, self.schema_, rng), self.schema_)

    def outlook(self, where: Mapping[str, Any], *, seed: int = 0) -> Outlook:
        """How many of the rows that are made without a condition would be as `where` says, and how hard it is to make
        only such ones. Raises ConfigError for what no row can be."""
        asked = self._asked(where)
        outlook = self._conditional().outlook(self._shares(asked.labels), asked.allowed, seed)
        if not outlook.share:
            raise ConfigError("no row can be like that, as far as the generator knows", where="where")
        return outlook

    def fill(self, frame: pd.DataFrame, *, likely: bool = False, seed: int = 0) -> pd.DataFrame:
        """The rows with their missing cells filled, given the cells that are there; all else is as it was.

        Cells are drawn, and other seeds give other draws: columns keep their spread, and several draws show how sure
        one can be (Rubin 1987, 'Multiple Imputation for Nonresponse in Surveys'). likely: the most frequent category
        and the mean of the numbers in place of a draw, which is nearer to the truth in each cell and too tidy as a
        whole. Identifiers stay missing. Raises DataError where the frame lacks a column, ConfigError for a model
        without a likelihood.
        """
        self._need_likelihood("fill")
        given = as_frame(frame)
        frame = text_names(given)
        target = str(self.schema_.target)
        has_holes = frame[list(self.schema_.names)].isna().any(axis=1).to_numpy()
        part = frame[has_holes]
        if not len(part):
            return given.copy()
        raw = to_raw(part, self.schema_)
        label = np.full(len(part), -1, dtype=np.int64)
        known = part[target].notna().to_numpy()
        label[known] = labels_to_codes(part[target][known], self.schema_)
        holes = known_cells(raw, self.encoder_)
        raw, label = self._conditional().fill(holes, label, self._shares(None), seed, likely=likely)
        made = labelled_rows(raw, label, self.schema_, np.random.default_rng(seed)).set_axis(part.index)
        filled = frame.copy()
        for column in self.schema_.columns:
            if column.kind is not Kind.IDENTIFIER:
                cells = part[column.name]
                whole = frame[column.name].astype(object)
                whole[has_holes] = cells.astype(object).where(cells.notna(), made[column.name].astype(object))
                filled[column.name] = _in_dtype(whole, made[column.name].dtype, frame[column.name].dtype)
        return filled.set_axis(given.columns, axis=1)

    def _rows_where(self, counts: Mapping[Any, int] | int, seed: int, asked: Asked) -> pd.DataFrame:
        levels = self.schema_[str(self.schema_.target)].levels
        label = wanted_labels(counts, levels, self.class_counts_)
        wanted = [(len(label), self._shares(asked.labels))]
        if isinstance(counts, Mapping):
            each = [(code, int(n)) for code, n in enumerate(np.bincount(label, minlength=len(levels))) if n]
            wanted = [(n, [float(k == code) for k in range(len(levels))]) for code, n in each]
            excluded = [levels[code] for code, _ in each if asked.labels is not None and code not in asked.labels]
            check(not excluded, "where", f"excludes rows of {excluded[0]!r}, which are asked for" if excluded else "")
        rng = np.random.default_rng(seed)
        seeds = np.random.SeedSequence(seed).generate_state(len(wanted), np.uint64) >> 1
        conditional, parts = self._conditional(), []
        for (n, shares), part_seed in zip(wanted, seeds.tolist(), strict=True):
            n_made, n_drawn = 0, n
            for attempt in range(ATTEMPTS):
                raw, codes = conditional.draw(n_drawn, shares, asked.allowed, part_seed + attempt)
                raw = asked.settled(raw, self.schema_, rng)
                fit = np.flatnonzero(asked.holds(raw, self.encoder_))[: n - n_made]
                parts.append(labelled_rows(raw.take(fit), codes[fit], self.schema_, rng))
                n_made += len(fit)
                if n_made == n:
                    break
                n_drawn = min(MOST_REDRAWN, int(1.2 * (n - n_made) * n_drawn / max(1, len(fit))) + 1)
            else:
                problem = "hardly any row that keeps the table's rules is like that"
                raise ConfigError(problem, where="where", remedy="ask for less at once")
        return own_names(pd.concat(parts, ignore_index=True), self.schema_)

    def _conditional(self) -> ConditionalRows:
        return ConditionalRows(self.row_generator(), self.device_)

    def _asked(self, where: Mapping[str, Any]) -> Asked:
        self._need_likelihood("where")
        return Asked.of(where, self.schema_, self.encoder_)

    def _need_likelihood(self, where: str) -> None:
        if not self.gan_.has_likelihood:
            problem = f"the model {self.model!r} can be asked for labels alone"
            raise ConfigError(problem, where=where, remedy=f"train {self.default_model!r}, the default")

    def _shares(self, labels: Sequence[int] | None) -> list[float]:
        """The share of each label in the training rows; none of those that are not asked for."""
        total = sum(self.class_counts_)
        return [n / total if labels is None or k in labels else 0.0 for k, n in enumerate(self.class_counts_)]

    @torch.no_grad()
    def rows_from(self, noise: torch.Tensor, label: np.ndarray) -> pd.DataFrame:
        """The rows that noise [N, noise_width of `row_generator()`] and label codes [N] stand for, not refined."""
        maker = self.row_generator()
        device = maker.pool_size.device
        numbers, codes = maker(noise.to(device), torch.from_numpy(label).to(device))
        raw = Raw(numbers.cpu().numpy(), codes.cpu().numpy())
        return own_names(labelled_rows(raw, label, self.schema_, np.random.default_rng(0)), self.schema_)

    def row_generator(self) -> RowGenerator:
        """The trained generator with all that turns its output into raw rows."""
        pools = [len(self.schema_[name].pooled) for name in self.schema_.categorical]
        device = self.device_
        rules = RuleKeeper(self.schema_)
        return RowGenerator(self.gan_, self.small_, self.encoder_, pools, rules).to(device).eval()

    def _anchors(self, to_balance: pd.DataFrame, random: torch.Generator) -> Anchors:
        to_balance = text_names(to_balance)
        label = torch.from_numpy(labels_to_codes(to_balance[str(self.schema_.target)], self.schema_)).to(random.device)
        return Anchors.of(self.encoder_, self.encoder_.encode(to_raw(to_balance, self.schema_)), label, random)

    def _modules(self) -> dict[str, nn.Module]:
        return {"gan": self.gan_, "encoder": self.encoder_, "small": self.small_}

    def _shape(self) -> dict[str, Any]:
        return {**super()._shape(), "encoder": self.encoder_.to_json(), "small_rows": len(self.small_.label)}

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        maker = cls(config["model"], config["options"], build(TrainConfig, config["train"]))
        maker.schema_ = Schema.from_json(schema)
        maker.encoder_ = TableEncoder.from_json(config["encoder"])
        layout = maker.encoder_.layout
        maker.small_ = SmallClasses(config["small_rows"], layout)
        spec = DataSpec(layout, cls._condition(config["class_counts"]))
        maker.gan_ = cast(GAN, built_model(maker._model_class(), spec, maker.options))
        return maker

    def _facts(self) -> dict[str, Any]:
        return {"target": self.schema_.target, "n_rows": self.schema_.n_rows}


def _examples(
    encoder: TableEncoder,
    table: EncodedTable,
    label: torch.Tensor,
    classes: tuple[str, ...],
    balance: float,
    seed: int,
    has_likelihood: bool,
) -> Examples:
    """What the loop trains on. balance: share of each batch drawn with all classes equally likely."""
    if has_likelihood:
        sampler = ClassBalanced.of(label, len(classes), balance, seed, min_rows=LEAST_JUDGED, most=MOST_JUDGED)
        held = torch.cat(sampler.judged_by)
        codes = label[held].numpy()
        weight = torch.from_numpy(_class_weight(codes, np.bincount(codes, minlength=len(classes)), balance)).float()
        rows = encoder.draw(table, held, torch.Generator().manual_seed(seed))
        criterion = ByLikelihood(rows, Condition(label[held]), weight / weight.sum())
        return Examples(Rows(encoder, table, Condition(label)), sampler, criterion)
    sampler = ClassBalanced.of(label, len(classes), balance, seed)
    # Numbers drawn from their intervals, as generated ones are: the middles would ask spikes to be points.
    random = torch.Generator().manual_seed(seed)
    reference = tuple(encoder.draw(table, rows, random) for rows in sampler.judged_by)
    return Examples(Rows(encoder, table, Condition(label)), sampler, ByClass(reference, classes, LOOK_ROWS))


def _class_weight(codes: np.ndarray, counts: np.ndarray, balance: float) -> np.ndarray:
    """Weight of each row: a share `balance` spread evenly over classes, the rest over rows."""
    present = (counts > 0).sum()
    weight: np.ndarray = balance / (present * counts[codes]) + (1 - balance) / len(codes)
    return weight


def _in_dtype(cells: pd.Series, *dtypes: Any) -> pd.Series:
    """The cells in the first of these dtypes that holds them all, as they are where none does."""
    for dtype in dtypes:
        with suppress(ValueError, TypeError):
            return cells.astype(dtype)
    return cells
