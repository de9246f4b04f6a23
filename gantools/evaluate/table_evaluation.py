"""All that can be said of synthetic rows: whether they look real, help and leak, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gantools.data.tables.schema import Schema
from gantools.evaluate.figures import Conclusion, Figure, Finding
from gantools.evaluate.table_columns import ColumnsLikeness, column_values, columns_likeness
from gantools.evaluate.table_detection import Detection, detection
from gantools.evaluate.table_fidelity import TableFidelity
from gantools.evaluate.table_pairs import PairsLikeness, pairs_likeness
from gantools.evaluate.table_privacy import ADVANTAGE_LEVEL, TablePrivacy, table_privacy
from gantools.evaluate.table_rows import Rows, Space
from gantools.evaluate.table_support import Support, support
from gantools.evaluate.table_transfer import LEVEL, Transfer, transfer
from gantools.stages import Stage
from gantools.words import listed, percent

REPEATS = 0.5  # spread below which rows are too much alike
REACHED = 0.6  # of what fresh real rows reach, below which much of what is real is not there
REAL_ENOUGH = 0.5  # of the precision of fresh real rows, from which rows look real one by one
KEPT = 0.5  # share of the association between columns, below which it is lost
KEPT_COLUMN = 0.3  # the same of a single column
LIKE = 0.9  # mean likeness of columns that are right one by one
TOLD_APART = 0.8  # ROC AUC of detection from which it is a finding
N_STEPS = 6


@dataclass(frozen=True)
class TableEvaluation:
    """Everything that was measured. None where it could not be: too few rows, or no target.

    values: those of each column side by side. fresh_columns, fresh_pairs: likeness of fresh real rows, which is as good
    as it gets.
    """

    columns: ColumnsLikeness
    values: TableFidelity
    pairs: PairsLikeness
    fresh_columns: ColumnsLikeness
    fresh_pairs: PairsLikeness
    support: Support | None
    detection: Detection | None
    transfer: Transfer | None
    privacy: TablePrivacy | None

    @property
    def conclusion(self) -> Conclusion:
        """What it comes to."""
        findings = tuple(self._findings())
        parts = ["the synthetic rows look like real ones"]
        if self.transfer is not None and self.transfer.lost is not None:
            parts.append("classifiers learn from them nearly as well as from real rows")
        if self.privacy is not None:
            parts.append("no sign of leaking was found")
        said = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
        return Conclusion(findings, f"Nothing wrong was found: {said}.", tuple(self._unsaid()))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that people look at first, with what they mean."""
        return tuple(self._figures())

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""

        def of(part: Any) -> Any:
            return None if part is None else part.to_json()

        return {
            "conclusion": self.conclusion.to_json(),
            "figures": [figure.to_json() for figure in self.figures],
            "fidelity": {
                "columns": self.columns.to_json(),
                "values": self.values.to_json(),
                "pairs": self.pairs.to_json(),
                "fresh": {"columns": self.fresh_columns.mean, "pairs": self.fresh_pairs.mean},
                "support": of(self.support),
                "detection": of(self.detection),
            },
            "utility": of(self.transfer),
            "privacy": of(self.privacy),
        }

    def _findings(self) -> Iterator[Finding]:
        if self.privacy is not None and (warnings := self.privacy.warnings):
            yield Finding("leaks", "; ".join(warnings))
        yield from self._collapsed()
        yield from self._unrelated()
        if apart := self.columns.standing_out:
            likeness = (
                "" if apart[0].likeness is None else f", '{apart[0].name}' most (likeness {apart[0].likeness:.2f})"
            )
            yield Finding("columns differ", f"{listed([one.name for one in apart])} from the real ones{likeness}")
        outside = [one for one in self.columns.columns if one.is_outside]
        if outside:
            worst = min(outside, key=lambda one: one.kept or 0.0)
            what = "beyond the real bounds" if worst.is_number else "that no real row has"
            yield Finding(
                "out of range",
                f"{listed([one.name for one in outside])} {'holds' if len(outside) == 1 else 'hold'} values {what}, "
                f"{percent(1 - (worst.kept or 0.0))} of '{worst.name}'",
            )
        if self.detection is not None and self.detection.auc >= TOLD_APART:
            by = listed([name for name, _ in self.detection.columns])
            yield Finding(
                "easily told apart",
                f"gradient boosting tells synthetic rows from real ones with a ROC AUC of {self.detection.auc:.2f} "
                f"(0.5 is chance){f', by {by}' if by else ''}",
            )
        if self.transfer is not None:
            if self.transfer.is_worse:
                one, other = self.transfer.synthetic or {}, self.transfer.real or {}
                yield Finding(
                    "of little use",
                    f"classifiers that learn from the synthetic rows reach a ROC AUC of {one['roc_auc']:.3f} on real "
                    f"rows, those that learn from real rows {other['roc_auc']:.3f}",
                )
            elif "synthetic" in self.transfer.problem:
                yield Finding("of no use", self.transfer.problem)

    def _collapsed(self) -> Iterator[Finding]:
        if self.support is None:
            return
        made, fresh = self.support.synthetic, self.support.fresh
        looks_real = made.precision >= REAL_ENOUGH * fresh.precision
        if made.spread < REPEATS:
            yield Finding(
                "collapsed",
                "the synthetic rows are variations of few: the distance from one to the next is "
                f"{percent(made.spread)} of that between real rows, and they reach {percent(made.recall)} of the real "
                f"rows ({percent(fresh.recall)} is what fresh real rows reach)",
            )
        elif looks_real and made.recall < REACHED * fresh.recall:
            yield Finding(
                "collapsed",
                f"the synthetic rows reach only {percent(made.recall)} of the real rows ({percent(fresh.recall)} is "
                "what fresh real rows reach)",
            )

    def _unrelated(self) -> Iterator[Finding]:
        kept, mean = self.pairs.kept, self.columns.mean
        if kept is None or mean is None:
            return
        if kept < KEPT and mean >= LIKE:
            lost = (
                f"only {percent(kept)} of what the real columns tell of one another is left "
                f"(closest in the real table: '{self.pairs.associated[0].one}' and '{self.pairs.associated[0].other}')"
            )
            if self.columns.has_same_values:
                yield Finding("shuffled columns", f"each column has exactly the real values, in another order: {lost}")
            else:
                yield Finding("independent columns", f"columns are right one by one, but not together: {lost}")
            return
        right = {one.name for one in self.columns.columns if not one.stands_out}
        lost_names = [name for name, share in self.pairs.kept_by_column().items() if share < KEPT_COLUMN]
        if shuffled := [name for name in lost_names if name in right]:
            it = (
                "has to do with the columns that it goes"
                if len(shuffled) == 1
                else "have to do with those that they go"
            )
            yield Finding("unrelated columns", f"{listed(shuffled)} no longer {it} with in the real table")

    def _unsaid(self) -> Iterator[str]:
        if self.transfer is None:
            yield "Without a target it cannot be said whether classifiers learn from the synthetic rows"
        elif self.transfer.problem:
            yield f"Whether classifiers learn from the synthetic rows was not measured: {self.transfer.problem}"
        if self.privacy is None:
            yield "There are too few rows to say whether the synthetic ones leak"
        elif self.privacy.unsaid:
            yield self.privacy.unsaid
        if self.support is None or self.detection is None:
            yield "There are too few rows to say where the synthetic ones lie among the real ones"

    def _figures(self) -> Iterator[Figure]:
        yield from self._looks()
        one = self.transfer
        if one is not None and one.synthetic is not None and one.real is not None:
            for name, called in (
                ("roc_auc", "ROC AUC"), ("average_precision", "average precision"), ("macro_f1", "macro F1"),
            ):  # fmt: skip
                best, fair = one.real[name], max(0.02, one.error)
                yield Figure(
                    "helps", f"{called}, trained on synthetic rows", one.synthetic[name], f"{best:.3f}",
                    max(best - fair, 0.0), max(best - max(LEVEL, 2 * one.error), 0.0),
                    "Of classifiers that learned from synthetic rows alone, tested on real rows; the best is what real "
                    f"rows in their place give. Good within {fair:.2g} of it, poor more than "
                    f"{max(LEVEL, 2 * one.error):.2g} below.", best,
                )  # fmt: skip
        if self.privacy is not None:
            yield from self._leaks(self.privacy)

    def _looks(self) -> Iterator[Figure]:
        if self.columns.mean is not None:
            yield Figure(
                "looks", "columns, one by one", self.columns.mean, "1", 0.95, 0.85,
                "The mean over columns of one less the Kolmogorov-Smirnov or total variation distance. Good from 0.95, "
                "poor below 0.85; it says nothing of how columns go together.", self.fresh_columns.mean,
            )  # fmt: skip
        if self.pairs.mean is not None:
            yield Figure(
                "looks", "pairs of columns", self.pairs.mean, "1", 0.95, 0.85,
                "The mean over pairs of the likeness of correlations or of joint shares. Good from 0.95, poor below "
                "0.85; pairs that never had to do with each other make it look better than it is.",
                self.fresh_pairs.mean,
            )  # fmt: skip
        if self.pairs.kept is not None:
            yield Figure(
                "looks", "association kept", self.pairs.kept, "1", 0.9, 0.7,
                "Of what columns tell of one another in the real table, the share that is left. Good from 0.9, poor "
                "below 0.7; 0 where columns are independent.", self.fresh_pairs.kept,
            )  # fmt: skip
        if self.detection is not None:
            yield Figure(
                "looks", "told apart by boosting", self.detection.score, "1", 0.8, 0.4,
                "Twice one less the cross-validated ROC AUC of gradient boosting: 1 it cannot tell synthetic rows from "
                "real ones, 0 it always can. Good from 0.8, poor below 0.4.",
            )  # fmt: skip
        if self.support is not None:
            yield from self._reach(self.support)

    def _reach(self, one: Support) -> Iterator[Figure]:
        made, fresh = one.synthetic, one.fresh
        for name, value, held, reading in (
            ("precision", made.precision, fresh.precision, "The share of synthetic rows that lie where real rows are"),
            ("recall", made.recall, fresh.recall, "The share of real rows that lie where synthetic rows are"),
            ("density", made.density, fresh.density, "As precision, and above 1 where synthetic rows crowd"),
            ("coverage", made.coverage, fresh.coverage, "The share of real rows with a synthetic row beside them"),
            ("alpha-precision", made.alpha_precision, fresh.alpha_precision,
             "Whether synthetic rows are as far from the middle as real ones, at every share of the rows"),
            ("beta-recall", made.beta_recall, fresh.beta_recall,
             "Whether real rows have a synthetic neighbour as near as a real one, at every share of the rows"),
        ):  # fmt: skip
            yield Figure(
                "looks", name, value, f"{held:.2f}", 0.9 * held, 0.7 * held,
                f"{reading}. The best is what fresh real rows reach; good from nine tenths of it, poor below seven.",
                held,
            )  # fmt: skip

    def _leaks(self, one: TablePrivacy) -> Iterator[Figure]:
        made, fresh = one.synthetic, one.fresh
        yield Figure(
            "leaks", "exact copies", made.exact, f"{fresh.exact:.4f}", fresh.exact + 0.001, fresh.exact + 0.005,
            "The share of synthetic rows that equal a real row; the best is the share of fresh real rows that do. Poor "
            "above half a percent more.", fresh.exact,
        )  # fmt: skip
        yield Figure(
            "leaks", "near copies", made.near, f"{one.chance:.4f}", 3 * one.chance, max(0.05, 4 * one.chance),
            "The share of synthetic rows closer to a real row than all but one in a hundred real rows are to theirs. "
            "Poor above 5 %.", fresh.near,
        )  # fmt: skip
        yield Figure(
            "leaks", "distance to the closest real row", made.median, f"{fresh.median:.2f} or more",
            0.9 * fresh.median, 0.7 * fresh.median,
            "The median, in standard deviations, beside that of fresh real rows. Much below it, rows sit on real ones.",
            fresh.median,
        )  # fmt: skip
        yield Figure(
            "leaks", "ratio of the two closest distances", made.ratio, f"{fresh.ratio:.2f} or more", 0.9 * fresh.ratio,
            0.7 * fresh.ratio,
            "The median distance to the closest real row over that to the second: near 0 where a row is a version of "
            "one real row.", fresh.ratio,
        )  # fmt: skip
        if one.closer is not None:
            yield Figure(
                "leaks", "closer to rows learned from", one.closer, "0.5", 0.53, 0.55,
                "The share of synthetic rows closer to a row that was learned from than to as many fresh real rows: "
                "one half where nothing is copied. Poor above 55 %.",
            )  # fmt: skip
        if one.membership is not None:
            yield Figure(
                "leaks", "advantage of an attack on membership", one.membership.advantage, "0", 0.05, ADVANTAGE_LEVEL,
                "How many more of the rows learned from than of fresh rows an attacker recognises. 0 is chance, 1 all "
                "of them; poor above 0.1.",
            )  # fmt: skip
        if one.attributes:
            guess = one.attributes[0]
            yield Figure(
                "leaks", f"guessing '{guess.column}'", guess.gain, "0", 0.07, 0.1,
                "How much more often the cell of a row learned from is guessed right than that of a fresh row, for the "
                "column where most. Poor above 0.1.",
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sample:
    """A table: its cells as they are, which classifiers learn from, and as `Rows`, which all else compares."""

    frame: pd.DataFrame
    rows: Rows
    schema: Schema

    @classmethod
    def of(cls, frame: pd.DataFrame, schema: Schema) -> Sample:
        """A table that has the columns of `schema`, which is that of the real one without pools of levels.

        Raises DataError that names the column where it does not have what the schema says.
        """
        return cls(frame, Rows.of(frame, schema), schema)

    def __len__(self) -> int:
        return len(self.frame)


def evaluate_table(
    real: Sample, synthetic: Sample, holdout: Sample | None = None, *, seed: int = 0, stage: Stage | None = None
) -> TableEvaluation:
    """Measure everything. holdout: real rows that the synthetic ones were not learned from."""
    stage = stage or Stage()
    stage.begin()
    schema, one, other = real.schema, real.rows, synthetic.rows
    fresh, held = (None, None) if holdout is None else (holdout.rows, holdout.frame)
    space = Space(one, seed)
    base, new = (one, fresh) if fresh is not None else one.halves(seed)

    def step(n: int, found: Any) -> Any:
        stage.done(n, N_STEPS)
        return found

    return TableEvaluation(
        columns=step(1, columns_likeness(one, other)),
        values=column_values(one, other),
        pairs=step(2, pairs_likeness(one, other)),
        fresh_columns=columns_likeness(base, new),
        fresh_pairs=pairs_likeness(base, new),
        support=step(3, support(base, other, new, space, seed)),
        detection=step(4, detection(one, other, seed)),
        transfer=step(5, None if schema.target is None else transfer(real.frame, synthetic.frame, held, schema, seed)),
        privacy=step(6, table_privacy(one, other, fresh, space, seed)),
    )
