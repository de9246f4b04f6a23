"""The reports on a balanced and on a scored table: one HTML page that needs nothing but a browser.

A scored table's shows how the scores are spread and where the threshold is, the most abnormal rows with their reasons,
and how the rows differ from those learned from. A balanced table's shows the verdict, the classes before and after, how
training went, how the synthetic values of each column compare with real ones, and what each column is. Real rows are
weighted to the synthetic rows' classes, so that a difference is never just one of class proportions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import Column, Kind, Schema
from gantools.report import page
from gantools.report.page import write_html as write_html

if TYPE_CHECKING:
    from gantools.augment.balance import BalanceResult
    from gantools.evaluate.scores import ScoreTally
    from gantools.evaluate.verdict import Verdict
    from gantools.score.drift import Drift
    from gantools.train.monitor import TrainingReport

Floats = np.ndarray[Any, np.dtype[np.float64]]

MAX_ROWS = 50_000  # real and synthetic rows each that the columns are compared on, drawn at random
MAX_COLUMNS = 200  # columns that are compared
MAX_LEVELS = 8  # levels of a column that are shown one by one
N_BINS = 30
N_SCORE_BINS = 90
MAX_CELLS = 12  # columns whose cells are shown beside an abnormal row's reason
MAX_DRIFTS = 30  # columns whose drift is shown
NOTICEABLE = 0.1  # difference from which a column is named among those that differ

JUDGES = "Two judges, logistic regression and gradient boosting, were"
METHODS = {"none": "no balancing", "repetition": "random repetition", "smote": "SMOTE"}
SCORER_STOPPED = {"early": "stopped early, held-out rows were no longer told better"}


def to_html(
    verdict: Verdict | None,
    balance: BalanceResult,
    schema: Schema,
    training: TrainingReport | None = None,
    *,
    title: str = "Balanced table",
) -> str:
    """The report as one HTML page.

    verdict: None where none was reached. balance: the balanced table with `is_synthetic` as its last column. schema: of
    the real table. training: None where it is not known. title: heading of the page.
    """
    sections = [
        _opening(title, verdict, balance),
        page.verdict_section(verdict, METHODS, JUDGES),
        page.classes_section(balance),
        page.training_section(training),
        _comparison(balance.frame, schema),
        _schema(schema),
    ]
    return page.whole(title, sections)


def scores_to_html(
    tally: ScoreTally,
    top: pd.DataFrame,
    schema: Schema,
    words: Iterable[str],
    *,
    threshold: float,
    drift: Drift | None = None,
    training: TrainingReport | None = None,
    title: str = "Scored table",
) -> str:
    """The report on a scored table as one HTML page.

    top: the most abnormal rows, with `anomaly_score`, `p_value`, `is_anomaly` and `reason` behind their cells; the
    index counts the table's rows from 0. schema: of the columns that were learned. words: what was found, in sentences.
    threshold: rows that score above it are anomalies. drift, training: None where there is none to tell of.
    """
    first, *rest = [*words, ""]
    opening = (
        f'<h1>{page.text(title)}</h1>\n<p class="verdict">{page.text(first)}</p>\n{page.notes(filter(None, rest))}'
    )
    sections = [
        opening,
        _distribution(tally, threshold),
        _most_abnormal(top),
        _drift(drift),
        _scorer_training(training),
        _schema(schema),
    ]
    return page.whole(title, sections)


def image_scores_to_html(
    tally: ScoreTally,
    top: pd.DataFrame,
    pictures: Sequence[np.ndarray[Any, np.dtype[np.uint8]]],
    words: Iterable[str],
    *,
    threshold: float,
    training: TrainingReport | None = None,
    title: str = "Scored images",
) -> str:
    """The report on scored images as one HTML page.

    top: the most abnormal images: `file`, `anomaly_score`, `p_value`, `is_anomaly` and `reason`. pictures: of each of
    them [h, w, 3]. The rest as in `scores_to_html`.
    """
    first, *rest = [*words, ""]
    sections = [
        f'<h1>{page.text(title)}</h1>\n<p class="verdict">{page.text(first)}</p>\n{page.notes(filter(None, rest))}',
        _distribution(tally, threshold, "image"),
        _most_abnormal_images(top, pictures),
        _scorer_training(training),
    ]
    return page.whole(title, sections)


# Sections -----------------------------------------------------------------------------------------------------------


def _opening(title: str, verdict: Verdict | None, balance: BalanceResult) -> str:
    n_synthetic = int(balance.frame["is_synthetic"].sum())
    n_real = len(balance.frame) - n_synthetic
    copies = f"{balance.n_copies_redrawn:,} were drawn again because they were exact copies of real rows"
    copies += f", {balance.n_copies_left:,} copies are left." if balance.n_copies_left else ", none is left."
    word = f'<p class="verdict {verdict.helped}">{page.text(verdict.sentence)}</p>' if verdict else ""
    facts = f"{n_real:,} real rows and {n_synthetic:,} synthetic ones, of which {copies}"
    return f"<h1>{page.text(title)}</h1>\n{word}\n<p>{facts}</p>\n{page.notes(balance.notes)}"


def _schema(schema: Schema) -> str:
    rows = []
    for column in schema.columns:
        what = column.kind.value + (" (target)" if column.name == schema.target else "")
        notes = [column.note] if column.note else []
        rows.append(
            [
                page.text(column.name),
                what,
                page.text(column.dtype),
                page.text(_contents(column)),
                page.text(" ".join(notes)),
                f"{column.missing:.1%}" if column.missing else "none",
                f"{column.n_distinct:,}",
            ]
        )
    head = ["column", "kind", "dtype", "values", "remark", "missing", "distinct"]
    return f"<h2>Columns</h2>\n{page.table(head, rows, n_text=5)}"


def _contents(column: Column) -> str:
    if column.low is not None and column.high is not None:
        return f"{_number(column.low, column)} to {_number(column.high, column)}"
    shown = ", ".join(str(level) for level in column.levels[:5])
    return shown + (", ..." if len(column.levels) > 5 or column.n_pooled else "")


# Scores ---------------------------------------------------------------------------------------------------------------


def _distribution(tally: ScoreTally, threshold: float, what: str = "row") -> str:
    """How many rows, or `what`, have which score, as an SVG with a logarithmic axis; anomalies in colour."""
    edges, shares = tally.histogram(N_SCORE_BINS)
    places = np.log(edges)
    low, high = places[0], places[-1]
    inside = np.isfinite(threshold) and edges[0] < threshold < edges[-1]
    width, height = 900, 160

    def x(place: float) -> float:
        return float(width * (place - low) / (high - low))

    cut = x(np.log(threshold)) if inside else (width if threshold >= edges[-1] else 0)
    tall = height * np.sqrt(shares / max(shares.max(), 1e-12))
    bars = ""
    for i, share in enumerate(shares):
        if share:
            kind = ' class="odd"' if x(places[i]) + x(places[i + 1]) > 2 * cut else ""
            size = f'width="{x(places[i + 1]) - x(places[i]):.2f}" height="{tall[i]:.1f}"'
            bars += f'<rect{kind} x="{x(places[i]):.1f}" y="{height - tall[i]:.1f}" {size}/>'
    line = f'<line x1="{cut:.1f}" x2="{cut:.1f}" y1="0" y2="{height}"/>' if inside else ""
    which = " (red line)" if inside else ""
    where = (
        f"threshold {threshold:.3g}{which}" if np.isfinite(threshold) else "no threshold: nothing is called anomalous"
    )
    about = (
        f"Every {what}'s anomaly score: about 0.7 for a usual {what}, and far out the number of standard deviations. "
        f"The axis is logarithmic and a bar's height is the square root of its share of the {what}s, so that rare "
        f"{what}s can be seen."
    )
    n_normal = tally.n_rows - tally.n_unscored - tally.n_anomalous
    return (
        f"<h2>Scores</h2>\n<p>{about}</p>\n"
        f'<svg class="scores" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="Histogram of anomaly scores">{bars}{line}</svg>'
        f'<div class="ends"><span>{edges[0]:.3g}</span><span>{where}</span><span>{edges[-1]:.3g}</span></div>\n'
        f'<p class="legend"><i></i> {n_normal:,} {what}s called normal '
        f'<i class="made"></i> {tally.n_anomalous:,} called anomalous</p>'
    )


def _most_abnormal(top: pd.DataFrame) -> str:
    if not len(top):
        return ""
    told = ("anomaly_score", "p_value", "is_anomaly", "reason")
    cells = [name for name in top.columns if name not in told]
    rows = [
        [
            f"{row + 1:,}",
            f"{score:.3g}",
            f"{p_value:.2g}",
            "yes" if is_anomaly else "no",
            f'<div class="reason">{page.text(reason)}</div>',
            *(_cell(value) for value in values),
        ]
        for row, score, p_value, is_anomaly, reason, *values in zip(
            top.index.tolist(),
            *(top[name].tolist() for name in told),
            *(top[name].tolist() for name in cells[:MAX_CELLS]),
            strict=True,
        )
    ]
    head = [
        "row",
        "score",
        "p-value",
        "anomaly",
        "reason",
        *(page.text(page.cut(str(name))) for name in cells[:MAX_CELLS]),
    ]
    more = len(cells) - MAX_CELLS
    rest = f"\n<p>{more:,} more columns are not shown.</p>" if more > 0 else ""
    about = "Rows are counted from 1. The p-value is the share of normal rows that are at least as far from normal."
    return f"<h2>The most abnormal rows</h2>\n<p>{about}</p>\n{page.table(head, rows, n_text=len(head))}{rest}"


def _most_abnormal_images(top: pd.DataFrame, pictures: Sequence[np.ndarray[Any, np.dtype[np.uint8]]]) -> str:
    told = (top[name].tolist() for name in ("file", "anomaly_score", "p_value", "is_anomaly", "reason"))
    blocks = [
        f'<div class="column"><h3>{page.text(file)}</h3><img src="{page.data_uri(picture)}" alt="{page.text(file)}">'
        f"<p>Score {score:.3g}, p-value {p_value:.2g}, {'anomalous' if is_anomaly else 'called normal'}: "
        f"{page.text(reason)}.</p></div>"
        for file, score, p_value, is_anomaly, reason, picture in zip(*told, pictures, strict=True)
    ]
    about = (
        "Colour is where an image is odd: yellow from half of the pixel threshold, red from twice of it; the line goes "
        "round what is above it. The p-value is the share of normal images that are at least as far from normal."
    )
    grid = "\n".join(blocks)
    return f'<h2>The most abnormal images</h2>\n<p>{about}</p>\n<div class="grid">\n{grid}\n</div>'


def _cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    return page.text(page.cut(f"{value:.10g}" if isinstance(value, float) else str(value)))


def _drift(drift: Drift | None) -> str:
    if drift is None:
        return ""
    if drift.drifted:
        word = "The rows as a whole no longer look like those that were learned from, so the verdicts mean less."
    else:
        word = "The rows as a whole look like those that were learned from."
    odd = f"{drift.odd_share:.2%} of the rows have a p-value of 0.05 or less; {drift.odd_expected:.2%} are expected."
    largest = sorted(drift.columns, key=lambda column: (-column.drifted, -column.index))[:MAX_DRIFTS]
    rows = [
        [
            page.text(page.cut(column.name)),
            page.text(column.words.removeprefix(f"{column.name}: ")),
            f'<span class="{"far" if column.drifted else "near"}">{column.index:.3f}</span>',
            f"{column.p_value:.2g}",
        ]
        for column in largest
    ]
    about = (
        "The index is the population stability index: 0 is the same distribution, above 0.1 a difference to look at. "
        "A column has drifted where the index is that large and the p-value says that it is not chance."
    )
    table = page.table(["column", "largest difference", "index", "p-value"], rows, n_text=2)
    return f'<h2>Drift</h2>\n<p>{word} {odd}</p>\n{page.notes(drift.words)}\n<p class="faint">{about}</p>\n{table}'


def _scorer_training(training: TrainingReport | None) -> str:
    if training is None:
        return ""
    how = SCORER_STOPPED.get(training.stopped, page.STOPPED.get(training.stopped, training.stopped))
    facts = f"Training {page.text(how)}: {training.steps:,} steps in {training.seconds:,.0f} s, weights of step "
    health = page.notes(training.health) or "<p>Nothing went wrong that the monitor could see.</p>"
    return f"<h2>Training</h2>\n<p>{facts}{training.best_step:,}.</p>\n{health}"


# Comparison of real and synthetic rows --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Compared:
    """One column: how far apart real and synthetic rows are (0 alike, 1 nothing in common), and its block of HTML.

    stands_out: the difference is noticeable and not just what so few rows make by chance.
    """

    name: str
    difference: float
    stands_out: bool
    block: str


def _comparison(frame: pd.DataFrame, schema: Schema) -> str:
    made = frame["is_synthetic"].to_numpy(dtype=bool)
    if not made.any() or schema.target is None:
        return ""
    real_rows, weights, synthetic_rows = _sample(frame[schema.target], made)
    if not len(real_rows):
        return ""
    real, synthetic = to_raw(frame.iloc[real_rows], schema), to_raw(frame.iloc[synthetic_rows], schema)
    names = [name for name in schema.names if name in (*schema.numeric, *schema.categorical)]
    compared = [_compare(schema, name, real, weights, synthetic) for name in names[:MAX_COLUMNS]]
    apart = sorted((one for one in compared if one.stands_out), key=lambda one: -one.difference)
    if apart:
        listed = ", ".join(f"{page.text(one.name)} ({one.difference:.2f})" for one in apart[:8])
        summary = f"Columns that differ most: {listed}{', ...' if len(apart) > 8 else ''}."
    else:
        summary = f"No column differs by {NOTICEABLE} more than chance explains."
    about = (
        "Each column of the synthetic rows beside real rows, weighted to the same classes. The difference is the "
        "largest gap between the two cumulative distributions for numbers and the total gap in shares for levels: 0 is "
        "alike, 1 has nothing in common. A single column says nothing about how columns go together; the verdict does."
    )
    more = len(names) - len(compared)
    rest = f"\n<p>{more:,} more columns are not shown.</p>" if more else ""
    blocks = "\n".join(one.block for one in compared)
    return (
        f"<h2>Real and synthetic values</h2>\n<p>{about}</p>\n<p>{summary}</p>\n{page.legend()}\n"
        f'<div class="grid">\n{blocks}\n</div>{rest}'
    )


def _sample(labels: pd.Series[Any], made: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[Any, Floats, Any]:
    """Numbers of the real rows and their weights (sum 1), and of the synthetic rows, at most MAX_ROWS of each."""
    rng = np.random.default_rng(0)
    codes, _ = pd.factorize(labels)
    codes = np.where(codes < 0, codes.max() + 1, codes)
    synthetic, real = np.flatnonzero(made), np.flatnonzero(~made & np.isin(codes, codes[made]))
    if len(synthetic) > MAX_ROWS:
        synthetic = np.sort(rng.choice(synthetic, MAX_ROWS, replace=False))
    if len(real) > MAX_ROWS:
        real = np.sort(rng.choice(real, MAX_ROWS, replace=False))
    n_real = np.bincount(codes[real], minlength=codes.max() + 1)
    n_made = np.bincount(codes[synthetic], minlength=codes.max() + 1)
    weights = n_made[codes[real]] / n_real[codes[real]]
    return real, weights / max(weights.sum(), 1e-12), synthetic


def _compare(schema: Schema, name: str, real: Raw, weights: Floats, synthetic: Raw) -> _Compared:
    column = schema[name]
    if name in schema.numeric:
        i = schema.numeric.index(name)
        return _compare_numbers(column, real.numbers[:, i], weights, synthetic.numbers[:, i])
    i = schema.categorical.index(name)
    return _compare_levels(column, real.codes[:, i], weights, synthetic.codes[:, i])


def _compare_numbers(column: Column, real: Floats, weights: Floats, synthetic: Floats) -> _Compared:
    missing_real, missing_made = float(weights[np.isnan(real)].sum()), float(np.isnan(synthetic).mean())
    seen, synthetic = ~np.isnan(real), synthetic[~np.isnan(synthetic)]
    real, weights = real[seen], weights[seen]
    even = np.full(len(synthetic), 1 / max(len(synthetic), 1))
    if not len(real) or not len(synthetic) or not weights.sum():
        difference = abs(missing_real - missing_made)
        return _compared(column, difference, 0.0, "", "<p>No values to compare.</p>")
    weights = weights / weights.sum()
    difference = max(_cumulative_gap(real, weights, synthetic, even), abs(missing_real - missing_made))
    chance = 0.87 * np.sqrt((weights**2).sum() + (even**2).sum())  # the mean of Kolmogorov's distribution
    rows = []
    for who, values, shares, missing in (
        ("real", real, weights, missing_real),
        ("synthetic", synthetic, even, missing_made),
    ):
        mean = float(values @ shares)
        sd = float(np.sqrt(np.maximum((values - mean) ** 2 @ shares, 0)))
        numbers = [mean, *_quantiles(values, shares, (0.05, 0.5, 0.95))]
        shown = [_number(number, column) for number in numbers]
        rows.append([who, shown[0], _spread(sd, column), *shown[1:], f"{missing:.1%}"])
    table = page.table(["", "mean", "sd", "5 %", "median", "95 %", "missing"], rows, n_text=1)
    drawing = _histogram(column, real, weights, synthetic, even)
    return _compared(column, difference, chance, drawing, table)


def _compare_levels(column: Column, real: Any, weights: Floats, synthetic: Any) -> _Compared:
    # Codes: levels, then the pool of rare levels, then -1 (missing) and -2 (unseen).
    n = len(column.levels) + 1
    share_real = np.bincount(real % (n + 2), weights=weights, minlength=n + 2)
    share_made = np.bincount(synthetic % (n + 2), minlength=n + 2) / max(len(synthetic), 1)
    difference = float(np.abs(share_real - share_made).sum() / 2)
    names = [*map(str, column.levels), "(rarer levels)", "(unseen)", "(missing)"]
    order = [i for i in np.argsort(-np.maximum(share_real, share_made), kind="stable") if share_real[i] + share_made[i]]
    rows = [
        [
            page.text(page.cut(names[i])),
            f"{share_real[i]:.1%}",
            f"{share_made[i]:.1%}",
            _pair(share_real[i], share_made[i]),
        ]
        for i in order[:MAX_LEVELS]
    ]
    if rest := order[MAX_LEVELS:]:
        one, other = share_real[rest].sum(), share_made[rest].sum()
        rows.append([f"({len(rest):,} more)", f"{one:.1%}", f"{other:.1%}", _pair(one, other)])
    # The mean of half the sum of absolute deviations of normal shares.
    variance = share_real * (1 - share_real) * ((weights**2).sum() + 1 / max(len(synthetic), 1))
    chance = np.sqrt(2 / np.pi * variance).sum() / 2
    return _compared(column, difference, chance, "", page.table(["", "real", "synthetic", ""], rows, n_text=1))


def _cumulative_gap(one: Floats, one_weights: Floats, other: Floats, other_weights: Floats) -> float:
    """The Kolmogorov-Smirnov distance of two weighted samples."""
    values = np.concatenate([one, other])
    order = np.argsort(values, kind="stable")
    steps = np.concatenate([one_weights, -other_weights])[order]
    last_of_value = np.append(np.diff(values[order]) != 0, True)
    return float(np.abs(np.cumsum(steps)[last_of_value]).max())


def _quantiles(values: Floats, weights: Floats, at: Sequence[float]) -> list[float]:
    order = np.argsort(values, kind="stable")
    places = np.searchsorted(np.cumsum(weights[order]), np.asarray(at) - 1e-9)
    return [float(values[order[min(place, len(values) - 1)]]) for place in places]


def _histogram(column: Column, real: Floats, weights: Floats, synthetic: Floats, even: Floats) -> str:
    """Shares per bin as an SVG: real rows as grey bars, synthetic ones as a line. Tails are in the end bins."""
    tails = (0.005, 0.995)
    ends = [*_quantiles(real, weights, tails), *_quantiles(synthetic, even, tails)]
    low, high = min(ends), max(ends)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    whole = column.kind is Kind.INTEGER and high - low < N_BINS
    edges = np.arange(low - 0.5, high + 1) if whole else np.linspace(low, high, N_BINS + 1)
    inside = (edges[0], edges[-1])
    first = np.histogram(np.clip(real, *inside), edges, weights=weights)[0]
    second = np.histogram(np.clip(synthetic, *inside), edges, weights=even)[0]
    top = max(first.max(), second.max(), 1e-9)
    width, height = 300, 64
    step = width / len(first)
    bars, points = "", []
    for i, share in enumerate(first):
        tall = height * share / top
        bars += f'<rect x="{i * step:.1f}" y="{height - tall:.1f}" width="{step:.2f}" height="{tall:.1f}"/>'
    for i, share in enumerate(second):
        y = height * (1 - share / top)
        points += [f"{i * step:.1f},{y:.1f}", f"{(i + 1) * step:.1f},{y:.1f}"]
    label = f"Histogram of {page.text(column.name)}, real and synthetic"
    numbers = (page.text(_number(end, column)) for end in (low, high))
    marks = f'<div class="ends">{"".join(f"<span>{number}</span>" for number in numbers)}</div>'
    return (
        f'<svg viewBox="0 -2 {width} {height + 4}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'{bars}<polyline points="{" ".join(points)}"/></svg>{marks}'
    )


# Pieces -------------------------------------------------------------------------------------------------------------


def _compared(column: Column, difference: float, chance: float, drawing: str, table: str) -> _Compared:
    stands_out = bool(difference - chance >= NOTICEABLE)
    word = "far" if stands_out else "near"
    head = f'<h3>{page.text(page.cut(column.name, 60))} <span class="{word}">difference {difference:.2f}</span></h3>'
    return _Compared(column.name, difference, stands_out, f'<div class="column">{head}{drawing}{table}</div>')


def _pair(real: float, made: float) -> str:
    one, other = (f"{100 * min(max(share, 0), 1):.1f}%" for share in (real, made))
    return f'<span class="pair"><i style="width:{one}"></i><i class="made" style="width:{other}"></i></span>'


def _number(value: float, column: Column) -> str:
    """A value of a column as people write it: dates as dates, lengths of time as such."""
    if column.kind is Kind.DATETIME:
        return str(np.datetime64(int(value), "us")).replace("T", " ")[:16]
    if column.dtype.startswith(("timedelta", "duration")):
        return str(pd.Timedelta(int(value), unit="us"))
    if column.kind is Kind.INTEGER and float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 or abs(value) >= 1e9 else f"{value:,.0f}"


def _spread(sd: float, column: Column) -> str:
    if column.kind is Kind.DATETIME or column.dtype.startswith(("timedelta", "duration")):
        return f"{sd / 86_400e6:,.1f} days"
    return f"{sd:,.4g}" if sd < 1e4 or sd >= 1e9 else f"{sd:,.0f}"
