"""Trained scikit-learn classifiers as modules: they are saved without pickle, run on any device, and export.

Trees are arrays of nodes that all rows walk down together, a level at a time (as in Nakandala et al. 2020, 'A Tensor
Compiler for Unified Machine Learning Prediction Serving').
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from gantools.classify.figures import Floats
from gantools.classify.judges import BOOSTING, FLOAT32_MAX, FOREST, LOGISTIC, Judge
from gantools.errors import TrainingError

SAME = 1e-9  # difference of probabilities between scikit-learn and the module


class JudgeModule(nn.Module):
    """A classifier: rows [N, columns] float64 to class probabilities [N, n_classes] float64.

    Its `__init__` takes `sizes()`, and leaves the weights to be loaded.
    """

    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """What `__init__` takes, as JSON."""


class Linear(JudgeModule):
    """Logistic regression on scaled numbers, marks of missing ones, and levels.

    columns: numbers, and text columns. n_codes: of all text columns, one more each for what was never seen.
    """

    numeric: Tensor  # [numbers] int64, their places in the matrix
    categorical: Tensor  # [text columns] int64
    middle: Tensor  # [numbers] what stands for a missing one
    mean: Tensor  # [numbers]
    scale: Tensor  # [numbers]
    number_weight: Tensor  # [numbers, classes]
    missing_weight: Tensor  # [numbers, classes], 0 where none was missing
    starts: Tensor  # [text columns] int64, where the codes of each begin
    lasts: Tensor  # [text columns] int64, the largest code of each, counted from -1 on
    level_weight: Tensor  # [codes, classes]
    bias: Tensor  # [classes]

    def __init__(self, n_numbers: int, n_levels: int, n_codes: int, n_classes: int) -> None:
        super().__init__()
        for name, shape in {
            "middle": (n_numbers,), "mean": (n_numbers,), "scale": (n_numbers,),
            "number_weight": (n_numbers, n_classes), "missing_weight": (n_numbers, n_classes),
            "level_weight": (n_codes, n_classes), "bias": (n_classes,),
        }.items():  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        for name, size in {
            "numeric": n_numbers, "categorical": n_levels, "starts": n_levels, "lasts": n_levels,
        }.items():  # fmt: skip
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))

    def sizes(self) -> dict[str, Any]:
        n_codes, n_classes = self.level_weight.shape
        return {
            "n_numbers": len(self.numeric),
            "n_levels": len(self.categorical),
            "n_codes": n_codes,
            "n_classes": n_classes,
        }

    @classmethod
    def of(cls, judge: Judge, n_classes: int) -> Self:
        encoder, classifier = judge.encoder, judge.classifier
        places = {name: np.asarray(columns, dtype=np.int64) for name, _, columns in encoder.transformers_}
        numbers, missing, levels = places["numbers"], places["missing"], places["levels"]
        weight, bias = _for_all_classes(classifier, n_classes)
        parts = {name: weight[:, part] for name, part in encoder.output_indices_.items()}
        tables: list[Floats] = []
        starts, lasts = [], []
        categories = encoder.named_transformers_["levels"].categories_ if len(levels) else []
        start = 0
        for known in categories:
            table = np.zeros((int(known.max(initial=0)) + 3, n_classes))  # -1, the codes, and what was never seen
            table[known.astype(np.int64) + 1] = parts["levels"][:, start : start + len(known)].T
            starts.append(sum(len(one) for one in tables))
            lasts.append(len(table) - 2)
            tables.append(table)
            start += len(known)
        found = cls(len(numbers), len(levels), sum(len(one) for one in tables), n_classes)
        missing_weight = np.zeros((len(numbers), n_classes))
        missing_weight[np.searchsorted(numbers, missing)] = parts["missing"].T
        values: dict[str, Any] = {
            "numeric": numbers, "categorical": levels, "starts": starts, "lasts": lasts,
            "missing_weight": missing_weight, "number_weight": parts["numbers"].T, "bias": bias,
            "level_weight": np.concatenate([*tables, np.zeros((0, n_classes))]),
        }  # fmt: skip
        if len(numbers):
            filled, scaled = (step for _, step in encoder.named_transformers_["numbers"].steps)
            values |= {"middle": np.nan_to_num(filled.statistics_), "mean": scaled.mean_, "scale": scaled.scale_}
        _fill(found, values)
        return found

    def forward(self, matrix: Tensor) -> Tensor:
        logits = self.bias
        if len(self.numeric):
            number = matrix[:, self.numeric]
            is_missing = torch.isnan(number)
            scaled = (torch.where(is_missing, self.middle, number) - self.mean) / self.scale
            logits = logits + scaled @ self.number_weight + is_missing.double() @ self.missing_weight
        if len(self.categorical):
            code = matrix[:, self.categorical].long().clamp(min=-1).minimum(self.lasts) + 1
            logits = logits + self.level_weight[self.starts + code].sum(1)
        return logits.softmax(1)


class Trees(JudgeModule):
    """A forest, or boosted trees: every row walks down all trees at once, and what it finds there is added up.

    n_classes: of the probabilities. n_values: numbers in a leaf. depth: of the deepest tree. n_tables, n_codes: splits
    by level, and codes of levels. is_boosted: whether values are added up to log odds, and not averaged.
    """

    roots: Tensor  # [trees] int64
    column: Tensor  # [nodes] int64
    threshold: Tensor  # [nodes] float64; infinite in a leaf
    below: Tensor  # [nodes] int64, the node for values up to the threshold, and next to it the other; of a leaf itself
    missing_below: Tensor  # [nodes] bool, where a missing value goes
    table: Tensor  # [nodes] int64, which row of `goes_below` tells; 0 of splits by a threshold
    goes_below: Tensor  # [1 + n_tables, 2 + n_codes] bool, by code + 1; the last is of what was never seen
    value: Tensor  # [nodes, n_values] float64
    start: Tensor  # [n_values] float64, what values are added to
    present: Tensor  # [classes that were trained on] int64

    def __init__(
        self, n_nodes: int, n_trees: int, n_values: int, n_tables: int, n_codes: int, n_present: int, depth: int,
        n_classes: int, is_boosted: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.depth, self.n_classes, self.is_boosted = depth, n_classes, is_boosted
        for name, shape, dtype in (
            ("roots", (n_trees,), torch.int64),
            ("column", (n_nodes,), torch.int64),
            ("threshold", (n_nodes,), torch.float64),
            ("below", (n_nodes,), torch.int64),
            ("missing_below", (n_nodes,), torch.bool),
            ("table", (n_nodes,), torch.int64),
            ("goes_below", (1 + n_tables, 2 + n_codes), torch.bool),
            ("value", (n_nodes, n_values), torch.float64),
            ("start", (n_values,), torch.float64),
            ("present", (n_present,), torch.int64),
        ):
            self.register_buffer(name, torch.zeros(shape, dtype=dtype))

    def sizes(self) -> dict[str, Any]:
        return {
            "n_nodes": len(self.column), "n_trees": len(self.roots), "n_values": self.value.shape[1],
            "n_tables": len(self.goes_below) - 1, "n_codes": self.goes_below.shape[1] - 2,
            "n_present": len(self.present), "depth": self.depth, "n_classes": self.n_classes,
            "is_boosted": self.is_boosted,
        }  # fmt: skip

    @classmethod
    def forest(cls, judge: Judge, n_classes: int) -> Self:
        classifier = judge.classifier
        parts = []
        for one in classifier.estimators_:
            tree = one.tree_
            counts = tree.value[:, 0]
            parts.append(
                _Nodes(
                    column=tree.feature,
                    threshold=tree.threshold,
                    below=tree.children_left,
                    above=tree.children_right,
                    missing_below=tree.missing_go_to_left,
                    value=counts / counts.sum(1, keepdims=True) / len(classifier.estimators_),
                    is_leaf=tree.children_left < 0,
                    depth=int(tree.max_depth),
                )
            )
        return cls._joined(parts, classifier.classes_, n_classes, np.zeros(len(classifier.classes_)))

    @classmethod
    def boosted(cls, judge: Judge, matrix: Floats, n_classes: int) -> Self:
        """matrix: what it was trained on, for the levels that are known are those found there."""
        classifier = judge.classifier
        is_level = classifier.is_categorical_
        if is_level is None:
            is_level = np.zeros(matrix.shape[1], dtype=bool)
        # It sees the text columns first, and of each the places of its codes among those that were found.
        seen = np.concatenate([np.flatnonzero(is_level), np.flatnonzero(~is_level)])
        known = {column: np.unique(matrix[:, column]).astype(np.int64) for column in np.flatnonzero(is_level)}
        n_codes = max((int(codes.max()) + 1 for codes in known.values()), default=0)
        start = np.asarray(classifier._baseline_prediction, dtype=np.float64).ravel()
        parts = []
        for trees in classifier._predictors:
            for k, tree in enumerate(trees):
                nodes = tree.nodes
                value = np.zeros((len(nodes), len(start)))
                value[:, k] = nodes["value"]
                column = seen[nodes["feature_idx"]]
                is_leaf = nodes["is_leaf"].astype(bool)
                splits = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf)
                tables = np.zeros((len(splits), 2 + n_codes), dtype=bool)
                for table, node in zip(tables, splits, strict=True):
                    bits = tree.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
                    codes = known[column[node]]
                    place = np.arange(len(codes))
                    table[:] = bool(nodes["missing_go_to_left"][node])
                    table[codes + 1] = (bits[place // 32] >> (place % 32).astype(np.uint32)) & 1
                parts.append(
                    _Nodes(
                        column=column,
                        threshold=nodes["num_threshold"],
                        below=nodes["left"].astype(np.int64),
                        above=nodes["right"].astype(np.int64),
                        missing_below=nodes["missing_go_to_left"],
                        value=value,
                        is_leaf=is_leaf,
                        depth=int(nodes["depth"].max()),
                        splits=splits,
                        tables=tables,
                    )
                )
        return cls._joined(parts, classifier.classes_, n_classes, start, is_boosted=True, n_codes=n_codes)

    @classmethod
    def _joined(
        cls, parts: Sequence[_Nodes], present: Any, n_classes: int, start: Floats, is_boosted: bool = False,
        n_codes: int = 0,
    ) -> Self:  # fmt: skip
        parts = [part.in_pairs() for part in parts]
        sizes = [len(part.column) for part in parts]
        first = np.cumsum([0, *sizes[:-1]])
        n_tables = [len(part.splits) for part in parts]
        found = cls(
            sum(sizes), len(parts), len(start), sum(n_tables), n_codes, len(present), max(part.depth for part in parts),
            n_classes, is_boosted,
        )  # fmt: skip
        tables = [np.zeros((1, 2 + n_codes), dtype=bool)]
        table = [np.zeros(size, dtype=np.int64) for size in sizes]
        n_before = 1
        for part, own in zip(parts, table, strict=True):
            own[part.splits] = n_before + np.arange(len(part.splits))
            tables.append(part.tables.reshape(len(part.splits), 2 + n_codes))
            n_before += len(part.splits)
        _fill(found, {
            "roots": first,
            "column": np.concatenate([np.where(part.is_leaf, 0, part.column) for part in parts]),
            "threshold": np.concatenate([np.where(part.is_leaf, np.inf, part.threshold) for part in parts]),
            "below": np.concatenate([part.below + at for part, at in zip(parts, first, strict=True)]),
            "missing_below": np.concatenate([part.missing_below.astype(bool) | part.is_leaf for part in parts]),
            "table": np.concatenate(table),
            "goes_below": np.concatenate(tables),
            "value": np.concatenate([part.value for part in parts]),
            "start": start,
            "present": np.asarray(present, dtype=np.int64),
        })  # fmt: skip
        return found

    def forward(self, matrix: Tensor) -> Tensor:
        x = matrix if self.is_boosted else matrix.clamp(-FLOAT32_MAX, FLOAT32_MAX).float().double()
        node = self.roots.expand(x.shape[0], -1)
        for _ in range(self.depth):
            cell = x.gather(1, _at(self.column, node))
            # logical operators, for onnxruntime has no choice between truths
            goes_below = (cell <= _at(self.threshold, node)) | (torch.isnan(cell) & _at(self.missing_below, node))
            if len(self.goes_below) > 1:
                table, width = _at(self.table, node), self.goes_below.shape[1]
                code = cell.nan_to_num(nan=-1.0).clamp(-1, width - 2).long() + 1
                by_level = table > 0
                listed = _at(self.goes_below.flatten(), table * width + code)
                goes_below = (by_level & listed) | (~by_level & goes_below)
            node = _at(self.below, node) + (~goes_below).long()
        total = self.start + self.value.index_select(0, node.flatten()).reshape(*node.shape, -1).sum(1)
        if not self.is_boosted:
            found = total
        elif total.shape[1] == 1:
            found = torch.cat([torch.sigmoid(-total), torch.sigmoid(total)], 1)
        else:
            found = total.softmax(1)
        if found.shape[1] == self.n_classes:
            return found
        place = torch.nn.functional.one_hot(self.present, self.n_classes).to(found.dtype)
        return found @ place


def _at(values: Tensor, place: Tensor) -> Tensor:
    """values[place], as one operator of a graph."""
    return values.index_select(0, place.flatten()).reshape(place.shape)


@dataclass(frozen=True, eq=False)
class _Nodes:
    """One tree. splits: the nodes that split by level. tables: of each, which codes go below."""

    column: Any
    threshold: Any
    below: Any
    above: Any
    missing_below: Any
    value: Any
    is_leaf: Any
    depth: int
    splits: Any = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    tables: Any = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def in_pairs(self) -> _Nodes:
        """The same tree with its nodes in another order: the two below a node stand side by side; a leaf leads on to
        itself."""
        order = [0]
        for node in order:  # grows on the way
            if not self.is_leaf[node]:
                order += [int(self.below[node]), int(self.above[node])]
        place = np.argsort(order)
        below = np.where(self.is_leaf, np.arange(len(order)), self.below)[order]
        moved = ("column", "threshold", "missing_below", "value", "is_leaf")
        kept = {name: getattr(self, name)[order] for name in moved}
        return replace(self, **kept, below=place[below], splits=place[self.splits])


MODULES: Mapping[str, type[Linear | Trees]] = {LOGISTIC: Linear, FOREST: Trees, BOOSTING: Trees}


def module_of(judge: Judge, matrix: Floats, n_classes: int) -> JudgeModule:
    """The module that does what a trained classifier does. matrix: the rows that it was trained on.

    Raises TrainingError where it does not, which a new version of scikit-learn could cause.
    """
    found: JudgeModule
    if judge.name == LOGISTIC:
        found = Linear.of(judge, n_classes)
    elif judge.name == FOREST:
        found = Trees.forest(judge, n_classes)
    else:
        found = Trees.boosted(judge, matrix, n_classes)
    found = found.eval()
    some = matrix[:: max(1, len(matrix) // 1000)]
    off = np.abs(found(torch.from_numpy(some)).numpy() - judge.probabilities(some, n_classes)).max(initial=0.0)
    if not off <= SAME:
        problem = f"{judge.name} of this scikit-learn cannot be kept: its probabilities would be off by {off:.2g}"
        raise TrainingError(problem, remedy="report it, with the version")
    return found


def _for_all_classes(classifier: Any, n_classes: int) -> tuple[Floats, Floats]:
    """The weights [n_classes, features] and biases [n_classes] of a linear classifier."""
    weight, bias = np.zeros((n_classes, classifier.coef_.shape[1])), np.full(n_classes, -np.inf)
    classes = classifier.classes_
    if len(classes) == 2:
        weight[classes[1]], bias[classes] = classifier.coef_[0], (0.0, classifier.intercept_[0])
    else:
        weight[classes], bias[classes] = classifier.coef_, classifier.intercept_
    return weight, bias


def _fill(module: nn.Module, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        module.get_buffer(name).copy_(torch.as_tensor(np.ascontiguousarray(value)))
