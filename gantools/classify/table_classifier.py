"""A classifier of rows that is kept: raw rows in, class, probabilities and a flag out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gantools import registry
from gantools.classify.features import RawFeatures, ReadFeatures
from gantools.classify.figures import Floats, Ints, decision_figures
from gantools.classify.goals import Decision, Goal
from gantools.classify.judges import plain_encoder, train_judges
from gantools.classify.modules import MODULES, JudgeModule, module_of
from gantools.data.tables.classified import classified
from gantools.data.tables.raw import Raw, codes_to_labels, labels_to_codes, to_raw
from gantools.data.tables.schema import Schema, as_frame, text_names
from gantools.train.resume import digest, versions
from gantools.train.saved import Saved

CHUNK_ROWS = 4096


class RowClassifier(nn.Module):
    """Raw rows to probabilities and decisions."""

    def __init__(self, features: RawFeatures, judge: JudgeModule, decision: Decision, usual: int) -> None:
        """usual: the class of most real rows; rows decided to be of another one are flagged."""
        super().__init__()
        self.features, self.judge, self.decision, self.usual = features, judge, decision, usual

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """numbers: [N, n_numeric] float64. codes: [N, n_categorical] int64.

        Returns the class [N] int64, the probability of each class [N, K] float64, and the flag [N].
        """
        probability, decided = self.decision(self.judge(self.features(numbers, codes)))
        return decided, probability, decided != self.usual


@registry.kind("table-classifier")
class TableClassifier(Saved):
    """A classifier of tables, with probabilities that are calibrated and decisions made for a goal.

    method, judge: how its training rows were balanced, and which classifier learned from them. goal: what its decisions
    are made for.

    Fitted attributes: `schema_`, `features_`, `judge_` and `decision_` (modules), `class_counts_` (real rows of each
    class), `held_out_` (figures by name on the rows that were held back, which also settled the decisions).
    """

    modality = "table"
    noun = "a classifier of tables"
    used_with = "`gantools classify`"
    options: Mapping[str, Any] | None = None
    schema_: Schema

    def __init__(self, method: str, judge: str, goal: str | Goal = "balanced-accuracy") -> None:
        self.method, self.model = method, judge
        self.goal = goal if isinstance(goal, Goal) else Goal.read(goal)

    def fit(
        self, features: ReadFeatures, matrix: Floats, codes: Ints, counts: Ints, *, weighted: bool = False,
        truth: Ints, probabilities: Floats, seed: int = 0,
    ) -> Self:  # fmt: skip
        """Train the classifier, and settle its probabilities and decisions.

        features: how rows are read. matrix, codes: [N, columns] and [N] classes, real rows and those that balance them.
        counts: real rows of each class, in the order of the target's levels. weighted: whether classes weigh alike.
        truth, probabilities: [M] and [M, K] of rows that were held back from a classifier of the same kind, with the
        shares that it was trained on divided out.
        """
        self.schema_ = features.schema
        self.goal.check(len(counts))
        self.class_counts_ = tuple(int(n) for n in counts)
        trained_on = np.bincount(codes, minlength=len(counts))
        if weighted:
            trained_on = np.where(trained_on > 0, 1, 0)
        encoder = plain_encoder(matrix, features.is_level)
        [judge] = train_judges(matrix, codes, features.is_level, encoder, seed, weighted, [self.model])
        self.features_, self.judge_ = features.module, module_of(judge, matrix, len(counts))
        self.decision_ = Decision.fitted(self.goal, counts, trained_on, truth, probabilities)
        with torch.no_grad():
            probability, decided = self.decision_.settled(torch.from_numpy(probabilities))
        self.held_out_ = decision_figures(truth, probability.numpy(), decided.numpy(), counts)
        self.report_, self.fingerprint_ = None, digest(matrix, codes)
        self._described = {
            "kind": self.kind,
            "model": self.model,
            "method": self.method,
            "goal": str(self.goal),
            "class_counts": list(self.class_counts_),
            "features": self.features_.sizes(),
            "judge": self.judge_.sizes(),
            "options": {},
            "data": self.fingerprint_,
            "versions": versions(),
        }
        return self

    @property
    def classes_(self) -> tuple[Any, ...]:
        """The labels, in the order of the columns of `predict_proba`."""
        return self.schema_[str(self.schema_.target)].levels

    @property
    def usual_(self) -> int:
        """The place of the class that most real rows have."""
        return int(np.argmax(self.class_counts_))

    def predict(self, frame: pd.DataFrame) -> pd.Series:
        """The label of each row, in the dtype of the training labels, as the goal decides it."""
        return codes_to_labels(self._assessed(frame)[0], self.schema_).set_axis(frame.index)

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Calibrated probabilities [N, classes], in the order of `classes_`."""
        return self._assessed(frame)[1]

    def classify(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`predicted`, `probability_<label>` of each class, and `is_flagged`: whether a row is decided to be of another
        class than most rows are. Raises DataError where the frame lacks a column or holds what cannot be read."""
        decided, probability, flagged = self._assessed(frame)
        return classified(decided, probability, flagged, self.schema_, frame.index)

    def figures(self, frame: pd.DataFrame) -> dict[str, float]:
        """How good decisions are on rows with labels, by name, see `decision_figures`."""
        decided, probability, _ = self._assessed(frame)
        truth = labels_to_codes(text_names(as_frame(frame))[str(self.schema_.target)], self.schema_)
        return decision_figures(truth, probability, decided, np.array(self.class_counts_))

    def classify_raw(self, raw: Raw) -> tuple[Ints, Floats, np.ndarray]:
        """Class [N], probabilities [N, classes] and flag [N] of raw rows."""
        module, device = self.row_classifier(), self.device_
        parts = []
        with torch.no_grad():
            for start in range(0, len(raw), CHUNK_ROWS):
                part = slice(start, start + CHUNK_ROWS)
                cells = (torch.from_numpy(np.ascontiguousarray(each[part])) for each in (raw.numbers, raw.codes))
                parts.append([found.cpu().numpy() for found in module(*(each.to(device) for each in cells))])
        if not parts:
            return np.zeros(0, np.int64), np.zeros((0, len(self.classes_))), np.zeros(0, bool)
        decided, probability, flagged = (np.concatenate(each) for each in zip(*parts, strict=True))
        return decided, probability, flagged

    def row_classifier(self) -> RowClassifier:
        """All of it as one module."""
        return RowClassifier(self.features_, self.judge_, self.decision_, self.usual_).eval()

    def _assessed(self, frame: pd.DataFrame) -> tuple[Ints, Floats, np.ndarray]:
        return self.classify_raw(to_raw(text_names(as_frame(frame)), self.schema_))

    def _modules(self) -> dict[str, nn.Module]:
        return {"features": self.features_, "judge": self.judge_, "decision": self.decision_}

    def _values(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {"held_out": self.held_out_}, {}

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.held_out_ = dict(config["held_out"])

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        found = cls(config["method"], config["model"], config["goal"])
        found.schema_ = Schema.from_json(schema)
        found.class_counts_ = tuple(config["class_counts"])
        found.features_ = RawFeatures(**config["features"])
        found.judge_ = MODULES[config["model"]](**config["judge"])
        found.decision_ = Decision(len(found.class_counts_))
        return found

    def _facts(self) -> dict[str, Any]:
        return {
            "target": self.schema_.target,
            "method": self.method,
            "goal": str(self.goal),
            "n_rows": self.schema_.n_rows,
            "held_out": self.held_out_,
        }
