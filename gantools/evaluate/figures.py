"""A figure as a reader needs it: what it is, how to read it, and whether it is good; and what all of them come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["looks", "helps", "leaks"]
Grade = Literal["good", "fair", "poor"]

QUESTIONS: dict[Part, str] = {"looks": "Do they look real?", "helps": "Do they help?", "leaks": "Do they leak?"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    part: of `QUESTIONS`. best: what the best value is, as text. good, poor: it is good up to the one, poor beyond the
    other, and fair between. reading: one sentence on what it says. fresh: what real data in place of the synthetic ones
    come to, where that was measured; synthetic data that are as good as this are good whatever the levels say.
    """

    part: Part
    name: str
    value: float
    best: str
    good: float
    poor: float
    reading: str
    fresh: float | None = None

    @property
    def grade(self) -> Grade:
        """Whether the figure is good."""
        sign = 1.0 if self.good > self.poor else -1.0
        value = sign * self.value
        good = sign * self.good if self.fresh is None else min(sign * self.good, sign * self.fresh)
        if value >= good - 1e-9:
            return "good"
        return "fair" if value >= sign * self.poor else "poor"

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "grade": self.grade}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong. name: in a word or two. sentence: what was found, without its full stop."""

    name: str
    sentence: str

    @property
    def words(self) -> str:
        """Both."""
        return f"{self.name}: {self.sentence}."


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What all figures come to.

    findings: what is wrong, the gravest first. fine: what is to be said where nothing is. unsaid: what could not be
    found out, and why, a sentence each.
    """

    findings: tuple[Finding, ...]
    fine: str
    unsaid: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What is wrong in a word each."""
        return tuple(finding.name for finding in self.findings)

    @property
    def sentence(self) -> str:
        """The gravest finding, or that nothing was found."""
        return self.findings[0].words if self.findings else self.fine

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "sentence": self.sentence,
            "findings": [asdict(finding) for finding in self.findings],
            "unsaid": list(self.unsaid),
        }


def all_good(figures: Sequence[Figure], part: Part) -> bool:
    """Whether there are figures of a part, and all of them are good or fair."""
    grades = [figure.grade for figure in figures if figure.part == part]
    return bool(grades) and "poor" not in grades
