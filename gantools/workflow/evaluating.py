"""What judging tables and judging images share: what is said at the end, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from gantools.evaluate.figures import QUESTIONS, Conclusion, Figure
from gantools.report.page import write_html
from gantools.words import count
from gantools.workflow.contract import Item, Table, noted, plain
from gantools.workflow.evaluate import Request
from gantools.workflow.stages import Stages


class Evaluation(Protocol):
    """What was measured of either kind of data."""

    @property
    def conclusion(self) -> Conclusion: ...

    @property
    def figures(self) -> tuple[Figure, ...]: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """What was found. n_real, n_synthetic, n_holdout: rows or images that were given. notes: what else to know."""

    request: Request
    evaluation: Evaluation
    n_real: int
    n_synthetic: int
    n_holdout: int
    notes: tuple[str, ...]
    stages: Stages = field(repr=False)

    sample: ClassVar[str]  # what the data consist of

    @property
    def sizes(self) -> str:
        """How much was compared, in words."""
        parts = [f"{self.n_synthetic:,} synthetic {self.sample}s", count(self.n_real, f"real {self.sample}")]
        if self.n_holdout:
            parts.append(f"{self.n_holdout:,} real ones held out")
        return f"Compared: {', '.join(parts)}."

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        found: dict[str, Any] = plain(
            {
                "real": self.request.real,
                "synthetic": self.request.synthetic,
                "holdout": self.request.holdout,
                "target": self.request.target,
                "n_real": self.n_real,
                "n_synthetic": self.n_synthetic,
                "n_holdout": self.n_holdout,
                **self.evaluation.to_json(),
                "report": self.request.report,
                "seconds": round(self.stages.now, 1),
                "notes": self.notes,
            }
        )
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        conclusion = self.evaluation.conclusion
        if not conclusion.findings:
            yield conclusion.fine
        for finding in conclusion.findings:
            yield finding.words
        yield ""
        yield self.sizes
        for part, question in QUESTIONS.items():
            figures = [figure for figure in self.evaluation.figures if figure.part == part]
            if figures:
                rows = tuple((one.name, f"{one.value:.3f}", one.best, one.grade) for one in figures)
                yield Table(("figure", "value", "best", ""), rows, title=question, right=(1, 2))
        yield from noted(self.notes)
        for sentence in conclusion.unsaid:
            yield f"{sentence}."
        if self.request.report is not None:
            yield f"Report: {self.request.report}"

    def write(self, page: Callable[[], str]) -> None:
        """Write the report where one was asked for. page: gives it as HTML."""
        if self.request.report is not None:
            write_html(page(), self.request.report)
