"""What is exported, as torch modules: raw tensors in, raw tensors out. Text comes as codes; the graph adds its levels.

A column is a tensor of one dimension, in the order and types of `columns.Port`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gantools.augment.rows import RowGenerator
from gantools.classify.table_classifier import RowClassifier
from gantools.data.tables.dtypes import zone_of
from gantools.data.tables.raw import MISSING
from gantools.data.tables.schema import Kind, Schema
from gantools.encode.descriptions import Descriptions
from gantools.encode.images import ImageEncoder
from gantools.encode.table import count
from gantools.export.columns import MISSING_INT, Port
from gantools.export.compose import ROWS_TRACED
from gantools.models.base import GAN
from gantools.nn.conditioning import Condition
from gantools.score.borrowing import GroupUnits
from gantools.score.image_head import ImageHead
from gantools.score.table_head import TableHead, score_of
from gantools.score.threshold import Calibration

TYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}


class RawRows(nn.Module):
    """Cells, a tensor [N] per column, to raw rows: numbers [N, n_numeric] float64 and codes [N, n_blocks] int64.

    A float32 that is the nearest one to a value that the encoder tells apart becomes this value, so that 0.1 in float32
    is the 0.1 that the model has learned.
    """

    def __init__(self, ports: Sequence[Port], knots: Tensor) -> None:
        """knots: [n_numeric, K] values that the model tells apart, of each column that comes as float32."""
        super().__init__()
        self.numbers = [port for port in ports if port.is_number]
        self.levels = [port for port in ports if not port.is_number]
        types = [port.type for port in self.numbers]
        self.by_type = {type_: [j for j, t in enumerate(types) if t == type_] for type_ in dict.fromkeys(types)}
        order = [j for group in self.by_type.values() for j in group]
        self.register_buffer("order", torch.tensor(order, dtype=torch.int64).argsort())
        self.register_buffer("knots", knots[self.by_type.get("float32", [])].clone())

    def forward(self, *cells: Tensor) -> tuple[Tensor, Tensor]:
        n = len(self.numbers)
        groups = [self._numbers(type_, [cells[j] for j in places]) for type_, places in self.by_type.items()]
        n_rows = cells[0].shape[0]
        numbers = cells[0].new_zeros((n_rows, 0), dtype=torch.float64) if not n else torch.cat(groups, 1)
        if len(groups) > 1:
            numbers = numbers[:, cast(Tensor, self.order)]
        codes = [self._codes(cell, port) for cell, port in zip(cells[n:], self.levels, strict=True)]
        return numbers, _side_by_side(codes) if codes else cells[0].new_zeros((n_rows, 0), dtype=torch.int64)

    def _numbers(self, type_: str, cells: Sequence[Tensor]) -> Tensor:
        x = _side_by_side(cells)
        if type_ == "int64":
            return torch.where(x == MISSING_INT, torch.nan, x.double())
        if type_ == "float64":
            return x
        knots = cast(Tensor, self.knots)
        short = knots.float()
        k = count(short < x.unsqueeze(2)).clamp(max=knots.shape[1] - 1)
        place = torch.arange(len(knots), device=x.device) * knots.shape[1] + k
        return torch.where(short.flatten()[place] == x, knots.flatten()[place], x.double())

    @staticmethod
    def _codes(cell: Tensor, port: Port) -> Tensor:
        """The codes of levels; text comes as codes already."""
        if port.type == "string":
            return cell
        code = _places(cell, port, port.unseen)
        missing = cell == MISSING_INT if port.type == "int64" else torch.isnan(cell)
        return torch.where(missing, MISSING, code)


class AlikeRows(nn.Module):
    """Cells to raw rows as `RawRows` gives them, with the numbers of each group in units of all groups."""

    centre: Tensor  # [G + 1, n_numeric]
    spread: Tensor  # [G + 1, n_numeric]
    of_all: Tensor  # [2, n_numeric]

    def __init__(self, rows: RawRows, units: GroupUnits, head: TableHead) -> None:
        super().__init__()
        self.rows, self.head = rows, head
        for name in ("centre", "spread", "of_all"):
            self.register_buffer(name, torch.from_numpy(getattr(units, name)))

    def forward(self, *cells: Tensor) -> tuple[Tensor, Tensor]:
        numbers, codes = self.rows(*cells)
        group = cast(Tensor, self.head.group_of(codes))
        away = (numbers - self.centre.index_select(0, group)) / self.spread.index_select(0, group)
        return away * self.of_all[1] + self.of_all[0], codes


def _side_by_side(cells: Sequence[Tensor]) -> Tensor:
    """Tensors [N] as the columns of one [N, C], in fewer steps than a stack of them takes in a graph."""
    return torch.cat(list(cells)).reshape(len(cells), -1).T


def _places(cell: Tensor, port: Port, unseen: int) -> Tensor:
    """The place of each cell among the port's levels, which are numbers: [N] int64."""
    levels = torch.tensor(port.levels, dtype=TYPES[port.type], device=cell.device)
    same = cell.unsqueeze(1) == levels
    return torch.where(same.any(1), same.int().argmax(1), unseen)


class Flagging(nn.Module):
    """Abnormality to a score, a p-value and a flag, as `Calibration` gives them."""

    scores: Tensor  # [R, S] held-out scores, ascending over rows and columns; the last ones infinite

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.calibration = calibration
        n = len(calibration.scores)
        side = max(1, round(n**0.5))
        rows = -(-n // side)
        padded = torch.full((rows * side,), torch.inf, dtype=torch.float64)
        padded[:n] = torch.from_numpy(calibration.scores)
        self.register_buffer("scores", padded.reshape(rows, side))

    def forward(self, abnormality: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """abnormality: [N]. threshold: [1] float64. Returns the score, its p-value, both float64, and the flag."""
        score = score_of(abnormality)
        n = len(self.calibration.scores)
        row = (count(self.scores[:, 0] < score.unsqueeze(1)) - 1).clamp(min=0)  # the last that begins below
        below = row * self.scores.shape[1] + count(self.scores.index_select(0, row) < score.unsqueeze(1))
        p = (1 + n - below).double() / (n + 1)
        tail = self.calibration.tail
        if tail is not None:
            growth = (tail.shape * ((score - tail.start) / tail.scale)).clamp(min=-1.0)
            beyond = tail.share * torch.exp(-torch.log(1 + growth) / tail.shape)
            p = torch.where(score > tail.start, beyond.clamp(min=self.calibration.finest), p)
        return score, torch.where(torch.isnan(score), score, p), ~(score <= threshold)  # NaN is not normal


class TableScoring(nn.Module):
    """Raw rows to score, p-value and flag; and both views of the rows, which an explanation starts from."""

    def __init__(self, head: TableHead, calibration: Calibration) -> None:
        super().__init__()
        self.head = head
        self.flagging = Flagging(calibration)

    def forward(self, threshold: Tensor, numbers: Tensor, codes: Tensor) -> tuple[Tensor, ...]:
        standard, ranked = self.head.views(numbers, codes)
        abnormality = self.head.abnormality(standard, ranked, group=self.head.group_of(codes))
        found = self.flagging(abnormality, threshold)
        return (*found, standard, ranked)


class TableMaking(nn.Module):
    """Noise and a label to cells, a tensor [N] per column; categories come as codes, text and its pools included."""

    def __init__(self, rows: RowGenerator, schema: Schema, ports: Sequence[Port], label: Port) -> None:
        super().__init__()
        self.rows, self.label = rows, label
        self.made = [port for port in ports if port.name != schema.target]
        self.has_target = len(self.made) < len(ports)
        self.numeric = {name: index for index, name in enumerate(schema.numeric)}
        self.categorical = {name: index for index, name in enumerate(schema.categorical)}
        columns = [schema[port.name] for port in self.made]
        levels = [schema[name] for name in schema.categorical]
        self.decimals = {column.name: column.decimals for column in columns if column.kind is Kind.CONTINUOUS}
        self.register_buffer("n_levels", torch.tensor([len(column.levels) for column in levels], dtype=torch.int64))
        lowest = [MISSING if column.missing else 0 for column in levels]
        self.register_buffer("lowest", torch.tensor(lowest, dtype=torch.int64))
        # days of a time zone are no multiples of anything in UTC
        self.steps = {column.name: column.step for column in columns if column.step and zone_of(column.dtype) is None}
        self.register_buffer("codes", torch.arange(len(label.levels or ())))

    def forward(self, noise: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        """noise: [N, noise_width]. label: [N]. Returns the columns in the order of the ports, the target's last."""
        code = _known_label(label, self.label, cast(Tensor, self.codes))
        numbers, codes = self.rows(noise, code)
        # behind the levels stand those of the pool; what may not be missing is the most frequent level
        codes = torch.where(codes > cast(Tensor, self.n_levels), codes - 1, codes).maximum(cast(Tensor, self.lowest))
        out = [self._column(port, numbers, codes, code) for port in self.made]
        return (*out, code) if self.has_target else tuple(out)

    def _column(self, port: Port, numbers: Tensor, codes: Tensor, label: Tensor) -> Tensor:
        if port.name in self.numeric:
            values = numbers[:, self.numeric[port.name]]
            step = self.steps.get(port.name)
            if step:
                values = torch.round(values / step) * step
            decimals = self.decimals.get(port.name)
            if decimals is not None:  # 67.96, where a multiple of 0.01 is 67.96000000000001
                values = torch.round(values * 10.0**decimals) / 10.0**decimals
            if port.type == "int64":
                return torch.where(torch.isnan(values), MISSING_INT, torch.round(torch.nan_to_num(values)).long())
            return values
        if port.name not in self.categorical:
            return torch.zeros_like(label)  # a constant: its only level
        return codes[:, self.categorical[port.name]]


def _known_label(label: Tensor, port: Port, codes: Tensor) -> Tensor:
    """The code of each label; running the graph fails where one is unknown."""
    place = label if port.type == "string" else _places(label, port, len(codes))
    return codes[place]


class RowsClassified(nn.Module):
    """Cells, a tensor [N] per column, to the class's code, the probability of each class, and the flag."""

    def __init__(self, reader: RawRows, classifier: RowClassifier) -> None:
        super().__init__()
        self.reader, self.classifier = reader, classifier

    def forward(self, *cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decided, probability, flagged = self.classifier(*self.reader(*cells))
        return decided, probability, flagged


class ImageScoring(nn.Module):
    """Images uint8 [N, H, W, C] to score, p-value, flag and a heat map [N, H, W], 1 being the pixel threshold."""

    def __init__(
        self, head: ImageHead, encoder: ImageEncoder, calibration: Calibration, pixel_threshold: float
    ) -> None:
        super().__init__()
        self.head, self.encoder, self.pixel_threshold = head, encoder, pixel_threshold
        self.flagging = Flagging(calibration)

    def forward(self, threshold: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        abnormality, maps = self.head(self.encoder(image))
        heat = (score_of(maps) / self.pixel_threshold).float()
        return (*self.flagging(abnormality, threshold), self.encoder.in_size(heat, image.shape[1], image.shape[2]))


class ImageMaking(nn.Module):
    """Noise and a label to images uint8 [N, S, S, C]."""

    def __init__(self, gan: GAN, encoder: ImageEncoder, label: Port) -> None:
        super().__init__()
        self.gan, self.encoder, self.label = gan, encoder, label
        self.register_buffer("codes", torch.arange(len(label.levels or ())))

    def forward(self, noise: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        return self._made(noise, label)

    def _made(self, noise: Tensor, label: Tensor, *truncation: Tensor) -> tuple[Tensor, ...]:
        code = _known_label(label, self.label, cast(Tensor, self.codes))
        return (self.encoder.inverse(self.gan.generate(noise, Condition(code), *truncation)),)


class TruncatedImageMaking(ImageMaking):
    """The same with a truncation [1], float32."""

    def forward(self, truncation: Tensor, noise: Tensor, label: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self._made(noise, label, truncation)


class DescribedMaking(nn.Module):
    """Noise and descriptions to images uint8 [N, S, S, C].

    Behind the noise come the codes of a caption's words, numbers, codes of levels and an embedding, those that there
    are.
    """

    def __init__(self, gan: GAN, encoder: ImageEncoder, descriptions: Descriptions) -> None:
        super().__init__()
        self.gan, self.encoder, self.told = gan, encoder, descriptions
        for k, levels in enumerate(descriptions.levels.values()):
            self.register_buffer(f"levels{k}", torch.eye(len(levels)))

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        return self._made(given)

    def _made(self, given: Sequence[Tensor], *truncation: Tensor) -> tuple[Tensor, ...]:
        noise, *rest = given
        caption = rest.pop(0) if self.told.caption else None
        parts = [((rest.pop(0) - mean) / deviation).unsqueeze(1) for mean, deviation in self.told.numbers.values()]
        parts += [getattr(self, f"levels{k}")[rest.pop(0)] for k in range(len(self.told.levels))]
        vector = torch.cat([*parts, *rest], 1) if parts or rest else None
        one = torch.zeros_like(noise[:, 0], dtype=torch.int64)
        return (self.encoder.inverse(self.gan.generate(noise, Condition(one, vector, caption), *truncation)),)


class TruncatedDescribedMaking(DescribedMaking):
    """The same with a truncation [1], float32, in front."""

    def forward(self, truncation: Tensor, *given: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self._made(given, truncation)


def example(port: Port, width: int | None = None) -> Tensor:
    """Cells to trace a graph with. width: of each, None for a single number or code."""
    shape = (ROWS_TRACED,) if width is None else (ROWS_TRACED, width)
    return torch.zeros(shape, dtype=torch.int64 if port.type == "string" else TYPES[port.type])
