"""What AnomalyScorer promises beyond ranking rows, each part with figures of its own:

  alarms         tables with over 2,000 normal rows: share of normal rows that training never saw called anomalies where
                 1 % and 5 % are asked for, as a multiple of what was asked
  contamination  auc and ap where 5 % of the training rows are anomalies, with contamination=0 and 0.05, beside training
                 on clean rows and beside KNN; the same rows are scored every time
  reasons        one cell of a normal row that training never saw is swapped for another value of its column, which the
                 rest of the row makes implausible: share of such rows called anomalies, and share of those where the
                 largest contribution is the swapped column's; beside KNN, which names the column that is furthest from
                 the mean of the five neighbours
  speed          seconds to fit 5,000 rows of 30 columns, rows scored per second, medians; beside KNN
  memory         `gantools score` on a Parquet file of 20 million rows and 10 columns: peak resident memory, rows per
                 second
  same           the largest difference between the scores of two scorers of one seed

A swapped value is implausible where it lies more than one standard deviation of the column, and further than 99 % of
normal rows that the regression was not fitted on, from what gradient boosting predicts from the other columns. Only
columns that boosting explains by at least 0.3 (R squared) are swapped, at most --columns a table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import oneclass
import pandas as pd
import peers
from oneclass import Table, ranked, split
from speed import command, readable, timed

Row = dict[str, Any]
RATES = (0.01, 0.05)
MIN_NORMAL = 2000
CONTAMINATION = 0.05
N_SWAPS = 200
N_TRIED = 50  # values tried for a cell before the row is left alone
MIN_EXPLAINED = 0.3
MAX_FRESH = 50_000


# --- alarms ---


def alarms_of(table: Table, seed: int, cap: int, arguments: dict[str, Any]) -> list[Row]:
    """Alarms on normal rows of one split: those of its test half and those that were thinned away."""
    warnings.filterwarnings("ignore")
    drawn = split(table, seed, cap)
    more = drawn.unused.sample(min(len(drawn.unused), MAX_FRESH), random_state=seed)
    fresh = pd.concat([drawn.test[~drawn.is_anomaly], more], ignore_index=True)
    if len(drawn.train) + len(fresh) <= MIN_NORMAL:
        return []
    scorer = oneclass.gantools(seed, **arguments).fit(drawn.train)
    p = scorer.p_value(fresh)
    place = {"table": table.name, "seed": seed, "n_fresh": len(fresh)}
    return [{**place, "asked": rate, "observed": float((p <= rate).mean())} for rate in RATES]


def alarms(asked: argparse.Namespace) -> tuple[list[Row], pd.DataFrame]:
    rows = collected(alarms_of, asked, asked.cap, asked.arguments)
    found = pd.DataFrame(rows)
    found["ratio"] = found["observed"] / found["asked"]
    per_table = found.pivot_table("ratio", "table", "asked")
    peers.report("false alarms, observed / asked, mean over seeds", per_table, 2)
    away = np.exp(np.log(per_table.clip(lower=1e-3)).abs())
    summary = pd.DataFrame({"mean ratio": per_table.mean(), "worst factor": away.max(), "table": away.idxmax()})
    return rows, summary.assign(within_1_3=(away <= 1.3).mean())


# --- contamination ---


def contamination_of(table: Table, seed: int, cap: int, arguments: dict[str, Any]) -> list[Row]:
    """The scorer and KNN on clean training rows and on those with anomalies among them."""
    warnings.filterwarnings("ignore")
    drawn = split(table, seed, cap)
    rng = np.random.default_rng(seed)
    odd = rng.permutation(np.flatnonzero(drawn.is_anomaly))
    # so many that they are 5 % of the training rows, and half of them at least remain to be scored
    n_mixed = min(round(len(drawn.train) * CONTAMINATION / (1 - CONTAMINATION)), len(odd) // 2)
    mixed = pd.concat([drawn.train, drawn.test.iloc[odd[:n_mixed]]]).sample(frac=1, random_state=seed)
    mixed = mixed.reset_index(drop=True)
    kept = np.setdiff1d(np.arange(len(drawn.test)), odd[:n_mixed])
    test, truth = drawn.test.iloc[kept].reset_index(drop=True), drawn.is_anomaly[kept]

    def ours(**more: float) -> Any:
        return oneclass.gantools(seed, **{**arguments, **more})

    tried = {
        "KNN, clean": (oneclass.knn(seed), drawn.train),
        "KNN, mixed": (oneclass.knn(seed), mixed),
        "gantools, clean": (ours(), drawn.train),
        "gantools, mixed, contamination=0": (ours(contamination=0.0), mixed),
        "gantools, mixed, contamination=0.05": (ours(contamination=CONTAMINATION), mixed),
    }
    share = n_mixed / len(mixed)
    return [
        {
            "table": table.name,
            "seed": seed,
            "method": method,
            "mixed_in": share,
            **ranked(truth, np.asarray(detector.fit(train).anomaly_score(test))),
        }
        for method, (detector, train) in tried.items()
    ]


def contamination(asked: argparse.Namespace) -> tuple[list[Row], pd.DataFrame]:
    rows = collected(contamination_of, asked, asked.cap, asked.arguments)
    found = pd.DataFrame(rows)
    peers.report("auc per table, mean over seeds", found.pivot_table("auc", "table", "method", sort=False))
    means = found.groupby(["table", "method"], sort=False)[["auc", "ap"]].mean()
    return rows, means.groupby("method", sort=False).mean()


# --- reasons ---


def swapped(
    train: pd.DataFrame, rows: pd.DataFrame, n_columns: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """Copies of `rows` with one implausible cell each, and the column of each; rows for which none was found are out.

    train: the rows that say what is plausible. n_columns: columns swapped at most, those that boosting explains best
    among three times as many drawn at random.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    half = len(train) // 2
    drawn = rng.permutation(train.shape[1])[: 3 * n_columns]
    models = []
    for column in drawn:
        values, others = train.iloc[:, column].to_numpy(), train.drop(columns=train.columns[column])
        spread = values.std()
        if not spread:
            continue
        model = HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(others[:half], values[:half])
        away = np.abs(values[half:] - model.predict(others[half:]))
        explained = 1 - (away**2).mean() / values[half:].var() if values[half:].std() else 0.0
        if explained >= MIN_EXPLAINED:
            models.append((explained, int(column), model, max(float(spread), float(np.quantile(away, 0.99)))))
    models = sorted(models, key=lambda each: -each[0])[:n_columns]
    pieces, columns = [], []
    order = rng.permutation(len(rows))[:N_SWAPS]
    for part, (_, column, model, limit) in zip(np.array_split(order, max(1, len(models))), models, strict=False):
        piece = rows.iloc[part].copy()
        expected = model.predict(piece.drop(columns=piece.columns[column]))
        values = rng.choice(train.iloc[:, column].to_numpy(), (len(piece), N_TRIED))
        implausible = np.abs(values - expected[:, None]) > limit
        found = implausible.any(axis=1)
        piece[piece.columns[column]] = values[np.arange(len(piece)), implausible.argmax(axis=1)]
        pieces.append(piece[found])
        columns += [column] * int(found.sum())
    if not pieces:
        return rows.head(0), np.empty(0, dtype=np.int64)
    return pd.concat(pieces, ignore_index=True), np.array(columns, dtype=np.int64)


class NeighbourReasons:
    """KNN with a verdict and a reason: calibrated on a fifth of the rows, blames the column furthest from the mean of
    the neighbours."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: pd.DataFrame) -> NeighbourReasons:
        from gantools.score.threshold import Calibration

        order = np.random.default_rng(self.seed).permutation(len(X))
        held_out = len(X) // 5
        self.knn = oneclass.knn(self.seed)
        self.knn.fit(X.iloc[order[held_out:]])
        self.trained = self.knn.scaler.transform(X.iloc[order[held_out:]])
        self.calibration = Calibration.fit(self.knn.anomaly_score(X.iloc[order[:held_out]]))
        return self

    def p_value(self, X: pd.DataFrame) -> np.ndarray:
        return self.calibration.p_value(self.knn.anomaly_score(X))

    def explain(self, X: pd.DataFrame) -> pd.DataFrame:
        scaled = self.knn.scaler.transform(X)
        near = self.trained[self.knn.model.kneighbors(scaled)[1]].mean(axis=1)
        return pd.DataFrame((scaled - near) ** 2, columns=X.columns)


def reasons_of(table: Table, seed: int, cap: int, arguments: dict[str, Any], n_columns: int) -> list[Row]:
    """Swapped rows of one split that are detected, and blamed on the right column."""
    warnings.filterwarnings("ignore")
    drawn = split(table, seed, cap)
    normal = drawn.test[~drawn.is_anomaly].reset_index(drop=True)
    rows, columns = swapped(drawn.train, normal, n_columns, np.random.default_rng(seed))
    if not len(rows):
        return []
    measured = []
    for method, scorer in (("KNN", NeighbourReasons(seed)), ("gantools", oneclass.gantools(seed, **arguments))):
        scorer.fit(drawn.train)
        p = scorer.p_value(rows)
        blamed = np.asarray(scorer.explain(rows)).argsort(axis=1)[:, ::-1]
        for rate in RATES:
            found = p <= rate
            right = blamed == columns[:, None]
            measured.append(
                {
                    "table": table.name,
                    "seed": seed,
                    "method": method,
                    "asked": rate,
                    "n_columns": rows.shape[1],
                    "n_swapped": len(rows),
                    "n_detected": int(found.sum()),
                    "n_named": int(right[found, 0].sum()),
                    "n_in_first_two": int(right[found, :2].any(axis=1).sum()),
                }
            )
    return measured


def reasons(asked: argparse.Namespace) -> tuple[list[Row], pd.DataFrame]:
    rows = collected(reasons_of, asked, asked.cap, asked.arguments, asked.columns)
    counted = ["n_swapped", "n_detected", "n_named", "n_in_first_two"]

    def shares(found: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "swapped": found["n_swapped"],
                "detected": found["n_detected"] / found["n_swapped"],
                "named": found["n_named"] / found["n_detected"],
                "in_first_two": found["n_in_first_two"] / found["n_detected"],
            }
        )

    found = pd.DataFrame(rows)
    ours = found[(found["method"] == "gantools") & (found["asked"] == RATES[-1])]
    peers.report(f"gantools at {RATES[-1]:.0%}, per table", shares(ours.groupby("table", sort=False)[counted].sum()))
    return rows, shares(found.groupby(["asked", "method"], sort=False)[counted].sum())


# --- speed ---


def correlated(n: int, n_columns: int, seed: int) -> pd.DataFrame:
    """Numbers with a third as many things behind them, in four clusters."""
    rng, law = np.random.default_rng(seed), np.random.default_rng(0)
    n_behind = max(1, n_columns // 3)
    centres, mixing = law.normal(0, 2, (4, n_behind)), law.normal(size=(n_behind, n_columns))
    behind = centres[rng.integers(0, 4, n)] + rng.normal(size=(n, n_behind))
    X = behind @ mixing + 0.3 * rng.normal(size=(n, n_columns))
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(n_columns)])


def speed(asked: argparse.Namespace) -> tuple[list[Row], pd.DataFrame]:
    train, many = correlated(5000, 30, 0), correlated(asked.scored, 30, 1)
    rows = []
    for method, make in (("KNN", oneclass.knn), ("gantools", lambda seed: oneclass.gantools(seed, **asked.arguments))):
        fit_s, detector = middle(asked.repeats, lambda make=make: make(0).fit(train))
        detector.anomaly_score(many.head(1000))  # the first call warms up
        score_s, _ = middle(asked.repeats, lambda detector=detector: detector.anomaly_score(many))
        rows.append({"method": method, "fit_s": fit_s, "rows_per_s": len(many) / score_s})
    return rows, pd.DataFrame(rows).set_index("method")


def middle(repeats: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """The median of the seconds that `work` takes, and what it gave last."""
    seconds, given = [], None
    for _ in range(repeats):
        started = time.perf_counter()
        given = work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), given


# --- memory ---


def payments(n: int, seed: int) -> pd.DataFrame:
    """Ten columns of mixed kinds, some cells missing."""
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(3, 1, n)
    return pd.DataFrame(
        {
            "amount": amount.round(2),
            "fee": (0.02 * amount + rng.exponential(0.1, n)).round(2),
            "balance": np.where(rng.random(n) < 0.05, np.nan, rng.normal(1000, 300, n)),
            "distance_km": rng.exponential(20, n),
            "age": rng.integers(18, 90, n),
            "n_items": rng.poisson(3, n),
            "risk": rng.beta(2, 8, n),
            "country": rng.choice(["DE", "FR", "IT", "PL", "ES"], n),
            "channel": rng.choice(["web", "shop", "phone"], n, p=[0.6, 0.3, 0.1]),
            "weekend": rng.random(n) < 2 / 7,
        }
    )


def write_in_pieces(path: Path, n: int, piece: int = 500_000) -> None:
    """A Parquet file of `n` payments, never more than `piece` of them in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = pa.Table.from_pandas(payments(10, 0), preserve_index=False)
    with pq.ParquetWriter(path, first.schema) as writer:
        for start in range(0, n, piece):
            rows = payments(min(piece, n - start), seed=1 + start // piece)
            writer.write_table(pa.Table.from_pandas(rows, schema=first.schema, preserve_index=False))


def memory(asked: argparse.Namespace) -> tuple[list[Row], pd.DataFrame]:
    """Through the command line, in a process of its own."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        big, output, saved = folder / "big.parquet", folder / "out.parquet", folder / "scorer"
        oneclass.gantools(0, **asked.arguments).fit(payments(5000, 0)).save(saved)
        write_in_pieces(big, asked.rows)
        took, peak = timed(command("score", big, "--from", saved, "-o", output))
        size, written = big.stat().st_size / 2**20, pq.read_metadata(output)
        if written.num_rows != asked.rows or written.num_columns != 13:
            raise RuntimeError(f"{written.num_rows} rows of {written.num_columns} columns were written")
    row = {"rows": asked.rows, "file_MiB": size, "peak_MiB": peak, "rows_per_s": asked.rows / took, "seconds": took}
    return [row], pd.DataFrame([row]).T.rename(columns={0: "gantools score"})


# --- same ---


def same_of(table: Table, seed: int, cap: int, arguments: dict[str, Any]) -> list[Row]:
    warnings.filterwarnings("ignore")
    drawn = split(table, seed, cap)
    first, second = (oneclass.gantools(seed, **arguments).fit(drawn.train).anomaly_score(drawn.test) for _ in "ab")
    difference = float(np.abs(np.asarray(first) - np.asarray(second)).max())
    return [{"table": table.name, "seed": seed, "largest_difference": difference}]


def same(asked: argparse.Namespace) -> tuple[list[Row], pd.DataFrame]:
    rows = collected(same_of, asked, asked.cap, asked.arguments)
    return rows, pd.DataFrame(rows).groupby("table", sort=False)[["largest_difference"]].max()


PARTS: dict[str, Callable[[argparse.Namespace], tuple[list[Row], pd.DataFrame]]] = {
    "alarms": alarms,
    "contamination": contamination,
    "reasons": reasons,
    "speed": speed,
    "memory": memory,
    "same": same,
}
SMALL = ("cardio", "glass", "wine")  # where nothing more is to be seen on others


def collected(measured: Callable[..., list[Row]], asked: argparse.Namespace, *more: Any) -> list[Row]:
    """What `measured` gives for every table and seed, printed as it comes."""
    rows = []
    for found in oneclass.side_by_side(measured, [(*each, *more) for each in splits(asked)], asked.jobs):
        for row in found:
            print("  ".join(f"{name} {shown(value)}" for name, value in row.items()), flush=True)
        rows += found
    if not rows:
        raise SystemExit("no table fits the protocol of this part")
    return rows


def splits(asked: argparse.Namespace) -> Iterator[tuple[Table, int]]:
    wanted = asked.tables.split(",") if asked.tables else None
    chosen = oneclass.tables(asked.data, wanted)
    if asked.part == "same" and wanted is None:
        chosen = [table for table in chosen if table.name in (*SMALL, *oneclass.BUILT_IN)]
    for table in chosen:
        for seed in asked.seeds.split(","):
            yield table, int(seed)


def shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = oneclass.arguments_parser(__doc__)
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--columns", type=int, default=8, help="reasons: columns of a table that are swapped")
    parser.add_argument("--scored", type=int, default=200_000, help="speed: rows that are scored")
    parser.add_argument("--repeats", type=int, default=3, help="speed: runs of which the median counts")
    parser.add_argument("--rows", type=int, default=20_000_000, help="memory: rows of the file")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}; choose from {', '.join(PARTS)}")
    warnings.filterwarnings("ignore")
    rows: list[Row] = []
    summaries = {}
    for part in asked.parts or PARTS:
        asked.part = part
        print(f"\n--- {part}")
        found, summaries[part] = PARTS[part](asked)
        rows += [{"part": part, **row} for row in found]
    for part, summary in summaries.items():
        print(f"\n{part}")
        print(summary.map(lambda value: readable(value) if isinstance(value, float) else value).to_string())
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, {asked.jobs} splits side by side")
    peers.summarise(pd.DataFrame(rows), asked.csv)


if __name__ == "__main__":
    main()
