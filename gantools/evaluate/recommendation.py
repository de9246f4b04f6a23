"""What to do about a rare class, found out and done: the recommended way of balancing, and its classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gantools.augment.balance import FLAG, Strategy, balance
from gantools.augment.sampler import frame_of
from gantools.augment.synthesizer import Synthesizer
from gantools.classify.features import ReadFeatures
from gantools.classify.goals import Goal
from gantools.classify.table_classifier import TableClassifier
from gantools.config import TrainConfig
from gantools.data.tables.raw import labels_to_codes
from gantools.data.tables.schema import Schema, as_pandas, infer_schema
from gantools.errors import DataError
from gantools.evaluate.table_utility import BUILT_IN, TableBench, usual_repeats, verdict
from gantools.evaluate.verdict import Verdict

Balanced = Callable[[], pd.DataFrame]


@dataclass(frozen=True)
class Recommendation:
    """What `recommend` found.

    verdict: every method's figures on rows that were held back. method: the simplest that none clearly beats. advice:
    what to do, how sure that is and what it costs. classifier: trained on all rows by that method, calibrated, with
    decisions made for the goal; `predict` and `predict_proba` take a frame with the columns of X.
    """

    verdict: Verdict
    classifier: TableClassifier

    @property
    def method(self) -> str:
        return self.classifier.method

    @property
    def advice(self) -> str:
        return self.verdict.advice or self.verdict.sentence


def recommend(
    X: Any, y: Any, goal: str = "balanced-accuracy", *, strategy: Strategy = "auto", model: str | None = None,
    options: Mapping[str, Any] | None = None, repeats: int | None = None, seed: int = 0,
    train: TrainConfig | None = None,
) -> Recommendation:  # fmt: skip
    """Find out what helps on a table whose classes are of unlike size, and train the classifier that follows from it.

    X: a frame, or an array or sparse matrix whose columns are then called x0, x1, ... y: labels. goal: what decisions
    are made for, "balanced-accuracy", "f1", "recall=0.9" or "cost=10:1". strategy: how many synthetic rows are tried,
    as in `balance`. model, options, train: of the generator, see `Synthesizer`. repeats: how often rows are held back
    and methods compared, each time with another generator; None for three times where few rare rows are held back.

    Give it the training rows alone, and keep test rows for yourself: figures on held-back rows choose the method.
    Raises ConfigError for the goal, DataError where methods cannot be compared.
    """
    frame, target = frame_of(as_pandas(X), as_pandas(y))
    frame = frame[frame[target].notna()].reset_index(drop=True)
    schema = infer_schema(frame, target)
    Goal.read(goal).check(len(schema[target].levels))
    config = replace(train or Synthesizer.default_train(), seed=seed)

    def balanced(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        generator = Synthesizer(model, options, replace(config, seed=seed)).fit(rows, target)
        if generator.report_.stopped == "interrupted":
            raise KeyboardInterrupt
        return balance(rows, target, strategy=strategy, synthesizer=generator, seed=seed).frame.drop(columns=FLAG)

    found = verdict(
        frame,
        target,
        {"gantools": balanced},
        schema=schema,
        seed=seed,
        n_repeats=repeats or usual_repeats(frame[target]),
    )
    classifier = recommended_classifier(frame, schema, found, goal, lambda: balanced(frame, seed), seed=seed)
    return Recommendation(found, classifier)


def recommended_classifier(
    frame: pd.DataFrame, schema: Schema, verdict: Verdict, goal: str | Goal, balanced: Balanced, *, seed: int = 0
) -> TableClassifier:
    """The classifier that a verdict recommends, trained on all rows by the method that it recommends.

    Where too few rows were held back to recommend a method, rows are taken as they are. frame: the real rows, all with
    a label. schema: theirs. goal: what decisions are made for, as `Goal.read` has it. balanced: gives the same rows
    first, and synthetic ones behind them; called only where they are recommended. Raises DataError for a verdict that
    could not be reached, ConfigError for the goal.
    """
    held, target = verdict.held_out, str(schema.target)
    if held is None:
        raise DataError(f"no classifier can be recommended: {verdict.sentence.removeprefix('No verdict: ')}")
    method = verdict.recommended or "none"
    levels = list(schema[target].levels)
    codes = labels_to_codes(frame[target], schema)
    features = ReadFeatures(frame, target, schema)
    bench = TableBench(frame, codes, frame.head(0), target, levels, features, seed, most_rows=len(frame))
    if method in (*BUILT_IN, "threshold"):
        rows = bench.made_by(method, np.maximum(bench.counts.max() - bench.counts, 0))
        assert rows is not None  # the verdict has used it
    else:
        rows, _ = bench.balance(lambda *_: balanced(), method)
    place = labels_to_codes(pd.Series(list(held.labels), dtype=frame[target].dtype), schema)
    probabilities = np.zeros((len(held.truth), len(levels)))
    probabilities[:, place] = held.probabilities[method][verdict.classifier]
    return TableClassifier(method, verdict.classifier, goal).fit(
        features, rows.matrix, rows.codes, bench.counts, weighted=rows.weighted, truth=place[held.truth],
        probabilities=probabilities, seed=seed,
    )  # fmt: skip
