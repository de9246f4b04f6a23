"""What the scorers of rows and of images share: scikit-learn's outlier contract, training, calibration."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils._param_validation import StrOptions
from torch import Tensor, nn

from gantools.config import TrainConfig, build
from gantools.models.base import DataSpec, Model
from gantools.score.calibrated import Calibrated, Floats, Indices
from gantools.score.threshold import Calibration, tail_end
from gantools.train.parameters import TRAINING, share, train_config, whole_number
from gantools.train.trained import Trained, built_model

TRIMS = 2  # times that the oddest of contaminated samples are set aside and the rest looked at again
LEFT_OUT = 0.05  # of samples of which little is known, that nothing is learned from
NOT_SAVED = ("model", "options", "random_state", "device")  # parameters that a checkpoint has elsewhere or not at all


class Scorer(Calibrated, OutlierMixin, BaseEstimator, Trained):  # type: ignore[misc]
    """Base of the scorers. `head_` is the module from raw samples to their abnormality."""

    purpose = "score"
    net = "detector"
    used_with = "`gantools score --from`"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TRAINING,
        "memory": [whole_number(2)],
        "false_alarms": [share()],
        "contamination": [share(0.5, zero=True), StrOptions({"auto"})],
        "tail": ["boolean"],
    }

    contamination: float | Literal["auto"]
    contamination_: float
    tail: bool
    device: str
    head_: nn.Module
    train_score_: Floats

    # -- learning --------------------------------------------------------------------------------------------------

    def _train_config(self) -> TrainConfig:
        return train_config(self)

    def _in_time(self, config: TrainConfig, began: float, part: Callable[[], Tensor], n_parts: float) -> TrainConfig:
        """The configuration with what `fit`, which began then, has left of its budget for training; a tenth of it at
        least. What follows the training takes n_parts times as long as `part`."""
        if config.budget_s is None:
            return config
        spent = time.perf_counter() - began
        with torch.no_grad():
            part().cpu()  # a GPU is done when its result is here
        one = time.perf_counter() - began - spent
        left = config.budget_s - spent - one * (1 + n_parts)
        return dataclasses.replace(config, budget_s=max(left, config.budget_s / 10))

    def _new_detector(self, layout: Any, seed: int) -> Model:
        options = build(self._model_class().Options, self.options)
        return self._new_model(DataSpec(layout), options, seed)

    def _trimmed(self, n: int, least: int, oddness: Callable[[Indices], Floats]) -> tuple[Indices, Indices]:
        """Which of n samples to learn from, at least `least`, and which to take for anomalies, both ascending.

        oddness: how odd each sample is [n] to one who knows those at given places, as a logarithm of a distance.

        Of a share that was asked for both are the same: the oddest so many are anomalies, and the others are learned
        from. With "auto" the oddest LEFT_OUT are not learned from, lest anomalies look familiar; but only those beyond
        the tail of the others are taken for anomalies. The rest are normal, if rare, and count when false alarms do.
        """
        known = np.arange(n)
        share = LEFT_OUT if self.contamination == "auto" else self.contamination
        n_known = min(n, max(least, round(n * (1 - share))))
        if n_known == n:
            return known, known[:0]
        for _ in range(TRIMS):
            known = np.sort(np.argsort(oddness(known), kind="stable")[:n_known])
        if self.contamination != "auto":
            return known, np.setdiff1d(np.arange(n), known)
        # what is left out looks odder for it, so the tail is looked at once more by one who knows all that is within
        within = known
        for _ in range(TRIMS):
            odd = oddness(within)
            within = np.flatnonzero(odd <= tail_end(odd))
            if len(within) == n:
                break
        return known, np.setdiff1d(np.arange(n), np.union1d(known, within))

    @staticmethod
    def _counted(n: int, kept: Indices, beyond: Indices, judged: Indices, seed: int) -> tuple[Indices, Indices]:
        """Which of n samples count for the rate of false alarms.

        Of those that were learned from, `kept`, the ones at `judged`; and as large a share of the normal ones that were
        not learned from.
        """
        rare = np.setdiff1d(np.arange(n), np.union1d(kept, beyond))
        return kept[judged], rare[drawn(len(rare), round(len(rare) * len(judged) / len(kept)), seed)]

    def _calibrate_on(self, held_out: Floats) -> None:
        """Learn what scores mean from those of held-out samples."""
        self.calibration_ = Calibration.fit(held_out, tail=bool(self.tail))
        self._given_threshold = self.best_f1_ = None

    def set_params(self, **params: Any) -> Self:
        """scikit-learn's; a rate of false alarms replaces a threshold that was tuned or set."""
        super().set_params(**params)
        if "false_alarms" in params:
            self._given_threshold = self.best_f1_ = None
        return self

    # -- scoring ---------------------------------------------------------------------------------------------------

    def score_samples(self, X: Any) -> Floats:
        """scikit-learn's sense: the negative of `anomaly_score`."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> Floats:
        """`score_samples(X) - offset_`: negative for anomalies."""
        return self.score_samples(X) - self.offset_

    @property
    def offset_(self) -> float:
        return -self.threshold_

    def fit_predict(self, X: Any, y: Any = None, **options: Any) -> npt.NDArray[np.int64]:
        """Learn from X and judge each sample by the others: 1 for normal ones, -1 for anomalies, [N] int64.

        `predict(X)` after `fit(X)` would find every sample in the memory. options: as for `fit`.
        """
        self.fit(X, y, **options)
        return np.where(self.train_score_ > self.threshold_, -1, 1)

    # -- keeping ---------------------------------------------------------------------------------------------------

    def _modules(self) -> dict[str, nn.Module]:
        return {"head": self.head_}

    def _parameters(self) -> dict[str, Any]:
        return {name: value for name, value in self.get_params().items() if name not in NOT_SAVED}

    def _values(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        found = {
            "parameters": self._parameters(),
            "threshold": self._given_threshold,
            "best_f1": self.best_f1_,
            "set_aside": self.contamination_,
        }
        tensors = {f"calibration.{k}": torch.from_numpy(v) for k, v in self.calibration_.to_tensors().items()}
        return found, {**tensors, "train_score": torch.from_numpy(self.train_score_)}

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        scores = {name: tensors[f"calibration.{name}"].numpy() for name in ("scores", "tail")}
        self.calibration_ = Calibration.from_tensors(scores)
        self._given_threshold, self.best_f1_ = config["threshold"], config["best_f1"]
        self.train_score_ = tensors["train_score"].numpy()
        self.contamination_ = float(config.get("set_aside", self.contamination))

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Self:
        scorer = super().load(folder, device)
        scorer.device = device
        return scorer

    @classmethod
    def _from_parameters(cls, config: Mapping[str, Any]) -> Self:
        """The estimator with the parameters that a configuration has."""
        return cls(model=config["model"], options=config["options"], **config["parameters"])

    def _facts(self) -> dict[str, Any]:
        return {
            "n_held_out": len(self.calibration_.scores),
            "threshold": self.threshold_,
            "false_alarms": self.false_alarms,
            "finest_false_alarms": self.calibration_.finest,
            "contamination": self.contamination_,
        }


def detector_for(scorer: Scorer, layout: Any) -> Model:
    """A detector for loaded weights."""
    return built_model(scorer._model_class(), DataSpec(layout), cast("Mapping[str, Any]", scorer.options))


def drawn(n: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Numbers of at most so many of n samples, drawn at random, ascending."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
