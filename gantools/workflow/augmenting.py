"""What balancing tables and balancing images share: the two trainings, the verdict, and what is said at the end."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from gantools.augment.balance import BalanceResult, Strategy, parse_strategy, rows_to_make
from gantools.augment.balance_images import ImageBalance
from gantools.config import TrainConfig, check_memory
from gantools.data.tables.column import level_named
from gantools.errors import ConfigError, DataError, TrainingError
from gantools.evaluate.verdict import Verdict
from gantools.report.page import write_html
from gantools.stages import Stage
from gantools.words import count
from gantools.workflow.augment import Request
from gantools.workflow.contract import Item, Table, given, noted, plain
from gantools.workflow.stages import Stages
from gantools.workflow.training import check_finished, training_shown

if TYPE_CHECKING:
    import pandas as pd

SHOWN = {  # figures of the verdict, and what stands above them
    "average_precision": "average precision",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "brier": "Brier",
    "brier_recalibrated": "recalibrated",
}
SAMPLE_BYTES = 64  # of memory that a row or image takes, at least


class Part(StrEnum):
    """The stages of balancing, in order."""

    TRAIN_TO_JUDGE = "Training for the verdict"
    MAKE_TO_JUDGE = "Making samples for the verdict"
    JUDGE = "Reaching the verdict"
    TRAIN = "Training on all data"
    MAKE = "Making the samples"
    MEASURE = "Measuring and writing"


@dataclass(frozen=True, kw_only=True)
class AugmentResult:
    """What was found and made.

    request: with the output's place. generator: of the synthetic data. verdict: None where none was asked for or none
    was possible (`notes` says why). schema: of the real data. stages: those of the command.
    """

    request: Request
    balance: BalanceResult | ImageBalance
    schema: Any
    generator: Any
    verdict: Verdict | None
    notes: tuple[str, ...]
    stages: Stages = field(repr=False)

    samples: ClassVar[str]  # what the data consist of
    whole: ClassVar[str]  # what they are

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        shared = {
            "output": self.request.output,
            "classes": [{"label": label, "before": n, "after": m} for label, n, m in self._counts()],
            "training": self.generator.report_.to_json(),
            "training_log": self.generator.history_.lines,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "saved": self.request.save,
            "report": self.request.report,
            "seconds": round(self.stages.now, 1),
            "notes": [*self._data_notes(), *self.notes],
        }
        found: dict[str, Any] = plain({**shared, **self._more_json()})
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        rows = tuple((label, n, m, m - n) for label, n, m in self._counts())
        yield Table(("class", "before", "after", "synthetic"), rows, right=(1, 2, 3))
        yield from noted(self._data_notes())
        yield from self._made_shown()
        yield from training_shown(self.generator.report_)
        yield from self._verdict_shown()
        yield from self._quality_shown()
        yield from self.notes
        yield ""
        yield f"Balanced {self.whole}: {self.request.output}"
        if self.request.grids is not None and self.request.grids.is_dir():  # a training without a look leaves none
            yield f"Pictures while training: {self.request.grids}"
        if self.request.report is not None:
            yield f"Report: {self.request.report}"
        if self.request.save is not None:
            yield f"Generator: {self.request.save}"
        if self.request.classifier is not None:
            yield f"Classifier: {self.request.classifier}"

    def write(self, page: Callable[[], str], write_data: Callable[[], None]) -> None:
        """Write all that was asked for. page: gives the report as HTML. write_data: writes the output."""
        html = page() if self.request.report is not None else ""
        if self.request.save is not None:
            self.generator.save(self.request.save)
        if self.request.report is not None:
            write_html(html, self.request.report)
        write_data()

    def _counts(self) -> Iterator[tuple[Any, int, int]]:
        before, after = self.balance.counts_before, self.balance.counts_after
        return ((label, before.get(label, 0), n) for label, n in after.items())

    def _data_notes(self) -> list[str]:
        return [*self.schema.notes(), *self.balance.notes]

    def _more_json(self) -> dict[str, Any]:
        raise NotImplementedError

    def _made_shown(self) -> Iterator[Item]:
        raise NotImplementedError

    def _verdict_shown(self) -> Iterator[Item]:
        if self.verdict is not None:
            yield from _verdict_shown(self.verdict, self.samples)

    def _quality_shown(self) -> Iterator[Item]:
        return iter(())


def _verdict_shown(verdict: Verdict, samples: str) -> Iterator[Item]:
    rows = tuple(
        (method, *("-" if scores is None else f"{scores[figure]:.3f}" for figure in SHOWN))
        for method, scores in verdict.scores.items()
    )
    if rows:
        yield ""
        title = f"Trained on {verdict.n_train} {samples}, tested on {verdict.n_holdout} held-out real {samples}"
        yield Table(("balanced by", *SHOWN.values()), rows, title=title, right=tuple(range(1, 1 + len(SHOWN))))
        yield "Brier scores tell how far probabilities are off, 0 is best; recalibrated ones, once they are put right."
    yield verdict.sentence
    if verdict.advice:
        yield f"Advice: {verdict.advice}"
    yield from noted(verdict.notes)


# Training -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trainings:
    """The generators that a request trains. new: an untrained one of a configuration."""

    request: Request
    config: TrainConfig
    new: Callable[..., Any]

    def fit(self, *data: Any, stage: Stage, seed: int, n_alike: int = 1, **options: Any) -> Any:
        """A generator trained on the data in the time of a stage, which n_alike trainings share.

        Raises KeyboardInterrupt where interrupted.
        """
        asked = given(self.request, "model", "options")
        seconds = stage.begin()
        budget_s = None if seconds is None else seconds / n_alike
        generator = self.new(**asked, train=replace(self.config, budget_s=budget_s, seed=seed))
        generator.fit(*data, progress=stage.trained, **options)
        check_finished(generator.report_)
        return generator


def plan(request: Request, trained: Any, making: float, judging: float, measuring: float) -> dict[str, float]:
    """The stages of balancing, and their shares of the time.

    making, judging, measuring: shares of what is no training. What they leave the two trainings share alike, so that
    the verdict speaks for what the user gets.
    """
    shares: dict[str, float] = {Part.MAKE: making, Part.MEASURE: measuring}
    if trained is not None:
        return shares
    is_judged = request.verdict
    spent = measuring + (2 * making + judging if is_judged else making)
    training = (1 - spent) / (2 if is_judged else 1)
    shares = {Part.TRAIN: training, **shares}
    if not is_judged:
        return shares
    return {Part.TRAIN_TO_JUDGE: training, Part.MAKE_TO_JUDGE: making, Part.JUDGE: judging, **shares}


def reached(request: Request, trained: Any, judge: Callable[[], Verdict]) -> tuple[Verdict | None, list[str]]:
    """The verdict where one is asked for and possible, and notes that say why there is none."""
    if not request.verdict:
        return None, []
    if trained is not None:
        return None, ["No verdict: the loaded generator may have been trained on any of these data, so none are new."]
    try:
        return judge(), []
    except (DataError, TrainingError) as error:
        return None, [f"No verdict: {error}."]


# Strategies -----------------------------------------------------------------------------------------------------------


def strategy_of(request: Request) -> Strategy:
    """The request's strategy, read where it is text. Raises ConfigError."""
    return parse_strategy(request.strategy) if isinstance(request.strategy, str) else request.strategy


def check_strategy(labels: pd.Series[Any], n_labels: int, strategy: Strategy, samples: str) -> None:
    """Refuse a strategy that does not fit the labels, asks for nothing or for too much. Raises ConfigError."""
    remedy = """, such as '{"label": 500}'"""
    if isinstance(strategy, float) and n_labels != 2:
        problem = f"a ratio needs two classes, and there are {n_labels}"
        raise ConfigError(problem, where="strategy", remedy=f"give counts{remedy}")
    wanted = rows_to_make(labels, strategy)
    check_memory(
        SAMPLE_BYTES * sum(wanted.values()), "strategy", count(sum(wanted.values()), samples.removesuffix("s"))
    )
    if not wanted:
        problem = f"every class has as many {samples} as asked for already"
        raise ConfigError(problem, where="strategy", remedy=f"ask for more{remedy}")


def scaled_strategy(strategy: Strategy, labels: pd.Series[Any], share: float) -> Strategy:
    """The same wish for a part of the data: asked counts shrink by `share`, but never under what is there."""
    if not isinstance(strategy, Mapping):
        return strategy
    there = labels.value_counts()
    return {label: max(math.ceil(count * share), int(there.get(label, 0))) for label, count in strategy.items()}


def match_label(levels: Sequence[Any], text: str, where: str) -> Any:
    """The label that `text` spells: 'yes', '1', '1.0' and 'true' all find theirs.

    Raises ConfigError naming `where` and the labels where there is none.
    """
    place = level_named(levels, text)
    if place is not None:
        return levels[place]
    names = [str(level) for level in levels]
    near = difflib.get_close_matches(text, names, n=1)
    remedy = f"the labels are {first_of(names)}"
    if near:
        remedy = f"did you mean {near[0]!r}? {remedy}"
    raise ConfigError(f"there is no class {text!r}", where=where, remedy=remedy)


def first_of(names: Sequence[str]) -> str:
    """The first ten names, with a comma between them."""
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
