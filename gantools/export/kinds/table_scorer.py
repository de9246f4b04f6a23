"""Scorers of tables: one input per column and `threshold` -> anomaly_score, p_value, is_anomaly, contribution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pandas as pd

from gantools import registry
from gantools.data.tables.raw import MISSING, Raw, to_raw
from gantools.errors import ExportError
from gantools.export.bases import SCORES, ExportedCalibrated, OfTable
from gantools.export.columns import Port, in_chunks, input_ports, to_feed
from gantools.export.proof import (
    BATCHES,
    SEED,
    Parity,
    Tolerance,
    batches,
    check,
    check_alone,
    check_steady,
    compare_scores,
)
from gantools.export.runtime import INNER
from gantools.score.borrowing import BORROWS, GroupUnits, borrows
from gantools.score.drift import Reference
from gantools.score.reasons import Explanation, words

if TYPE_CHECKING:
    from gantools.export.graph import Graph
    from gantools.score.table_scorer import AnomalyScorer

EXPLANATION = ("contribution", "suspects", "alike")  # the fields of `Explanation`
REMEMBERED = (f"{INNER}remembered/numbers", f"{INNER}remembered/codes")  # what the words of reasons are found in
OF_GROUPS = tuple(f"{INNER}units/{field}" for field in ("centre", "spread"))
CHUNK_ROWS = 1024  # rows run at a time: their distances to the memory stay small
EXPLAINED_ROWS = 256
# A proof
TRIED = 1024
TRIED_EXPLAINED = 64
ALIKE = 0.9  # of the largest contribution: as good as the largest
FURTHEST = 2  # rows of numbers as far as can be
NEVER_SEEN = "a level that was never seen"


@registry.exported("table-scorer")
class ExportedScorer(OfTable, ExportedCalibrated):
    """A table scorer from a file, with the methods of `AnomalyScorer` that scoring needs."""

    purpose = "Scores how abnormal the rows of a table are. It learned from rows that were taken for normal."
    needed = ("threshold", "explain", *SCORES, *EXPLANATION)

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.drift_ = Reference.from_json(self.described["drift"], self.schema_)
        self._remembered: Raw | None = None
        self._units: GroupUnits | None = None
        groups = self.described.get("groups") or {}
        self.by: str | None = groups.get("by")

    @classmethod
    def build(cls, scorer: AnomalyScorer) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.export.modules import AlikeRows, RawRows, TableScoring, example
        from gantools.score.explain import Explainer

        schema, head, encoder = scorer.schema_, scorer.head_, scorer.head_.views.encoder
        ports = input_ports(schema, scorer.told_apart_values())
        names = compose.free_names(("threshold", "explain", *SCORES, *EXPLANATION), ports)
        cells = [example(port) for port in ports]
        rows, units = RawRows(ports, encoder.knots), scorer.units_
        reader = (rows if units is None else AlikeRows(rows, units, head)).eval()
        module = TableScoring(head, scorer.calibration_).eval()
        explainer = Explainer(head, scorer.remembered_).eval()
        with torch.no_grad():
            raw = reader(*cells)
            given = (torch.zeros(1, dtype=torch.float64), *raw)
            score, _, _, *views = module(*given)
        scores, explained = ([names[name] for name in part] for part in (SCORES, EXPLANATION))
        raw_names, view_names = ([f"{INNER}{part}/{k}" for k in range(2)] for part in ("raw", "view"))
        inputs = [compose.traced_name(port) for port in ports]
        front = compose.traced(reader, cells, inputs, raw_names, prefix=f"{INNER}cells/")
        proto = compose.traced(module, given, [names["threshold"], *raw_names], [*scores, *view_names], fixed=1)
        padded = compose.pad_to_one(proto, raw_names)
        whole = compose.cut(proto, scores)
        proto = compose.joined(front, proto)
        compose.add_levels(proto, ports)
        compose.count_rows(proto, [port.name for port in ports])
        compose.set_default(proto, names["threshold"], np.array([scorer.threshold_]))
        start = [*padded.values(), *view_names, whole[scores[0]]]
        reasons = compose.traced(explainer, (*raw, *views, score), start, explained, prefix=f"{INNER}explain/")
        compose.add_branch(proto, reasons, names["explain"], whole[scores[0]], explainer.n_columns)
        compose.cut(proto, explained)
        for name, array in zip(REMEMBERED, (scorer.remembered_.numbers, scorer.remembered_.codes), strict=True):
            compose.rename_initializer(proto, array, name)
        del proto.graph.output[len(scores) : len(scores) + len(view_names)]
        compose.name_sizes(proto, {names["threshold"]: (1,)})
        columns = [port.name for port in ports if port.name != scorer.by]
        if scorer.units_ is not None:
            for name, array in zip(OF_GROUPS, (scorer.units_.centre, scorer.units_.spread), strict=True):
                compose.rename_initializer(proto, array, name)
        drift = scorer.drift_.to_json()
        groups = {} if scorer.units_ is None else {
            "by": scorer.by, "counts": scorer.units_.counts.tolist(), "of_all": scorer.units_.of_all.tolist(),
        }  # fmt: skip
        facts = {**cls.facts(scorer), "drift": drift, "contribution_columns": columns, "groups": groups}
        return Graph(proto, cls.kind, tuple(ports), (), names, facts)

    def prove(self, scorer: AnomalyScorer, allowed: Tolerance) -> Parity:
        """On remembered rows as they are, with missing cells everywhere and with levels never seen."""
        categories = [port for port in self.inputs if not port.is_number]
        raw = _tried(scorer.remembered_, categories, np.random.default_rng(SEED))
        cells = pd.DataFrame({name: [NEVER_SEEN] * len(raw) for name in self.schema_.names})
        feed = to_feed(raw, cells, self.inputs)
        expected = scorer.score_raw(raw)
        found: Parity = {"rows": len(raw), "batches": [*BATCHES, len(raw)]}
        scored = []
        for rows in batches(len(raw)):
            part = {name: values[rows] for name, values in feed.items()}
            scores = self._scores(part)
            compare_scores(found, scorer, expected[rows], scores, allowed)
            scored.append(scores[0])
        *alone, together = scored
        check_alone(np.concatenate(alone), together[: sum(BATCHES)])
        some = np.arange(min(TRIED_EXPLAINED, len(raw)))
        [(_, theirs)] = scorer.explain_raw(raw.take(some), some)
        [(_, ours)] = self._explained(raw.take(some), cells.iloc[some])
        check_steady(lambda: [found.contribution for _, found in self._explained(raw.take(some), cells.iloc[some])])
        found["blamed_differing"] = _blamed_differing(ours.contribution, theirs.contribution)
        check("most blamed column", found["blamed_differing"], allowed.blamed)
        return found

    # -- running ---------------------------------------------------------------------------------------------------

    def check_fits(self, frame: pd.DataFrame) -> None:
        """Refuse a table that this scorer was not made for. Raises DataError naming the columns."""
        to_raw(frame.head(1000), self.schema_)

    def anomaly_score(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """How abnormal rows are: [N] float64."""
        return self.assess(frame)["anomaly_score"].to_numpy()

    def assess(
        self, frame: pd.DataFrame, explain: bool | Literal["flagged"] = False, exclude_self: bool = False
    ) -> pd.DataFrame:
        """As `AnomalyScorer.assess`. exclude_self is refused: a file does not know which rows it has learned from."""
        if exclude_self:
            raise ExportError("an exported scorer cannot judge the rows that it has learned from", where="exclude_self")
        raw = to_raw(frame, self.schema_)
        parts = [self._scores(feed) for feed in self._feeds(raw, frame, CHUNK_ROWS)]
        score, p, flagged = (
            map(np.concatenate, zip(*parts, strict=True)) if parts else (np.zeros(0), np.zeros(0), np.zeros(0, bool))
        )
        found = pd.DataFrame({"anomaly_score": score, "p_value": p, "is_anomaly": flagged}, index=frame.index)
        if self.by is not None:
            found[BORROWS] = borrows(raw, np.array(self.described["groups"]["counts"]))
        if explain:
            rows = np.flatnonzero(flagged) if explain == "flagged" else np.arange(len(frame))
            reason = np.full(len(frame), "", dtype=object)
            mine, cells = raw.take(rows), frame.iloc[rows]
            said: list[str] = []
            for start, explained in self._explained(mine, cells):
                part = np.arange(start, start + len(explained.contribution))
                rows_of = mine.take(part), cells.iloc[part]
                said += words(explained, *rows_of, self.schema_, self.remembered_, self.units_)
            reason[rows] = said
            found["reason"] = pd.Series(reason, index=frame.index, dtype=pd.Series([""]).dtype)
        return found

    def explain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each column contributes to the score of rows: [N, columns]; the columns of a row add up to its score."""
        raw = to_raw(frame, self.schema_)
        names = [port.name for port in self.inputs if port.name != self.by]
        parts = [explained.contribution for _, explained in self._explained(raw, frame)]
        found = pd.DataFrame(np.concatenate(parts) if parts else np.empty((0, len(names))), columns=names)
        return found.set_index(frame.index).reindex(columns=list(self.schema_.names), fill_value=0.0)

    def _scores(self, feed: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Scores, p-values and flags."""
        return self.run({**feed, **self.settings}, [self.names[name] for name in SCORES])

    def _explained(self, raw: Raw, frame: pd.DataFrame) -> Iterator[tuple[int, Explanation]]:
        names = [self.names[name] for name in EXPLANATION]
        asked = {**self.settings, self.names["explain"]: np.array(True)}
        for k, feed in enumerate(self._feeds(raw, frame, EXPLAINED_ROWS)):
            yield k * EXPLAINED_ROWS, Explanation(*self.run({**feed, **asked}, names))

    def _feeds(self, raw: Raw, frame: pd.DataFrame, size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        return in_chunks(to_feed(raw, frame, self.inputs), len(raw), size)

    @property
    def remembered_(self) -> Raw:
        """The remembered rows, which the file holds for its explanations."""
        if self._remembered is None:
            arrays = self._held(REMEMBERED)  # a table may have columns of one kind only
            nothing = np.empty((len(next(iter(arrays.values()))), 0))
            numbers, codes = (arrays.get(name, nothing) for name in REMEMBERED)
            self._remembered = Raw(numbers.astype(np.float64), codes.astype(np.int64))
        return self._remembered

    @property
    def units_(self) -> GroupUnits | None:
        """By which numbers of groups are made alike; None without groups."""
        if self._units is None and self.by is not None:
            counts, of_all = (np.array(self.described["groups"][name]) for name in ("counts", "of_all"))
            arrays, size = self._held(OF_GROUPS), (len(counts) + 1, len(self.schema_.numeric))
            alone = np.zeros(size), np.ones(size)
            centre, spread = (arrays.get(name, one) for name, one in zip(OF_GROUPS, alone, strict=True))
            self._units = GroupUnits(centre, spread, of_all.reshape(2, -1), counts)
        return self._units

    def _held(self, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        """Those of the named arrays that the file holds."""
        import onnx

        held = {tensor.name: tensor for tensor in self.proto().graph.initializer}
        return {name: onnx.numpy_helper.to_array(held[name]) for name in names if name in held}

    # -- what it says of itself ------------------------------------------------------------------------------------

    def main_outputs(self) -> list[str]:
        return [self.names[name] for name in SCORES]

    def limits(self) -> Iterable[str]:
        yield (
            f"**{len(self.remembered_):,} rows of the training table are in the file**, unchanged; whoever has the "
            "file can read them. Protect it as you protect the table."
        )
        yield "All levels that training never saw count as one and the same unknown level."
        yield from super().limits()


# --- a proof ---


def _tried(remembered: Raw, categories: Sequence[Port], random: np.random.Generator) -> Raw:
    """Real rows: a half as they are, a quarter with missing cells and a quarter with levels never seen, and numbers far
    from their range; of these the last ones are as far as whole numbers go."""
    n = min(TRIED, max(len(remembered), 16))
    raw = remembered.take(random.choice(len(remembered), n, replace=n > len(remembered)))
    numbers, codes = raw.numbers.copy(), raw.codes.copy()
    lacking = np.arange(n) % 4 == 1
    strange = np.arange(n) % 4 == 3
    numbers[(random.random(numbers.shape) < 0.3) & lacking[:, None]] = np.nan
    can_lack = np.array([port.has_missing for port in categories], dtype=bool)
    codes[(random.random(codes.shape) < 0.3) & lacking[:, None] & can_lack] = MISSING
    odd = (random.random(codes.shape) < 0.3) & strange[:, None]
    codes = np.where(odd, np.array([port.unseen for port in categories], dtype=np.int64), codes)
    far = (random.random(numbers.shape) < 0.1) & strange[:, None]
    numbers[far] = numbers[far] * 3 + 7
    numbers[np.flatnonzero(strange)[-FURTHEST:]] = 1e18
    return Raw(numbers, codes)


def _blamed_differing(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> float:
    """The share of rows whose most blamed column is another one, unless one of them finds both columns about alike."""
    rows, mine, other = np.arange(len(ours)), ours.argmax(1), theirs.argmax(1)
    alike = (ours[rows, other] >= ALIKE * ours.max(1)) | (theirs[rows, mine] >= ALIKE * theirs.max(1))
    return float((~alike).mean())
