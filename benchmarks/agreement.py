"""Do the figures of `evaluate` agree with SDMetrics where both define one?

For each table three kinds of synthetic rows are judged by both: real rows drawn anew with numbers blurred, columns
shuffled independently, and half of the rows with cells missing and values that the real table does not have. Printed is
the largest absolute difference of each figure over tables, kinds and columns (or pairs of columns). SDMetrics is
installed into benchmarks/.sdmetrics and runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import peers

COLUMN_FIGURES = {
    "KSComplement": "likeness",
    "TVComplement": "likeness",
    "MissingValueSimilarity": "missing_likeness",
    "BoundaryAdherence": "kept",
    "CategoryAdherence": "kept",
    "RangeCoverage": "reached",
    "CategoryCoverage": "reached",
}
PAIR_FIGURES = ("CorrelationSimilarity", "ContingencySimilarity")


def blurred(real: pd.DataFrame, numbers: list[str], rng: np.random.Generator) -> pd.DataFrame:
    drawn = real.sample(len(real), replace=True, random_state=0).reset_index(drop=True)
    return drawn.assign(**{c: drawn[c] + rng.normal(0, 0.3 * real[c].std(), len(real)) for c in numbers})


def shuffled(real: pd.DataFrame, _numbers: list[str], rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame({name: rng.permutation(cells.to_numpy()) for name, cells in real.items()})


def holed(real: pd.DataFrame, numbers: list[str], rng: np.random.Generator) -> pd.DataFrame:
    part = real.sample(len(real) // 2, random_state=1).reset_index(drop=True)
    for name in part:
        if name not in numbers:
            part[name] = part[name].where(rng.random(len(part)) < 0.9, "never seen")
        part[name] = part[name].mask(rng.random(len(part)) < 0.1)
    return part


KINDS = {"blurred": blurred, "shuffled": shuffled, "holed": holed}


def ours(real: pd.DataFrame, made: pd.DataFrame) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Figures of columns and of pairs, as `evaluate` has them."""
    from gantools.data.tables.schema import infer_schema
    from gantools.evaluate.table_columns import columns_likeness
    from gantools.evaluate.table_pairs import pairs_likeness
    from gantools.evaluate.table_rows import Rows

    schema = infer_schema(real, max_levels=2**62)
    one, other = (Rows.of(frame, schema) for frame in (real, made))
    columns = {column.name: column for column in columns_likeness(one, other).columns}
    found: dict[str, dict[str, float]] = {}
    for name, column in columns.items():
        kind = ("KSComplement", "BoundaryAdherence", "RangeCoverage")
        if not column.is_number:
            kind = ("TVComplement", "CategoryAdherence", "CategoryCoverage")
        found[name] = {figure: getattr(column, COLUMN_FIGURES[figure]) for figure in (*kind, "MissingValueSimilarity")}
    pairs = {
        f"{pair.one}\t{pair.other}": pair.likeness
        for pair in pairs_likeness(one, other).pairs
        if pair.likeness is not None
    }
    return found, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000, help="thin larger tables to this many rows")
    asked = parser.parse_args()
    python, differences = peers.sdmetrics_python(), []
    for path in sorted(peers.data_folder("tables").glob("*.csv")):
        real = pd.read_csv(path)
        real = real.sample(min(asked.rows, len(real)), random_state=0).reset_index(drop=True)
        real = real.astype(dict.fromkeys(peers.text_columns(real), str))
        numbers = [name for name in real if name not in peers.text_columns(real)]
        for kind, make in KINDS.items():
            made = make(real, numbers, np.random.default_rng(0))
            columns, pairs = ours(real, made)
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                real.to_parquet(folder / "real.parquet")
                made.to_parquet(folder / "made.parquet")
                (folder / "asked.json").write_text(json.dumps({"columns": columns, "pairs": list(pairs)}))
                subprocess.run([python, peers.HERE / "sdmetrics_worker.py", folder], check=True)
                theirs = json.loads((folder / "found.json").read_text())
            for column, figures in columns.items():
                for figure, value in figures.items():
                    differences.append((path.stem, kind, figure, column, value, theirs["columns"][column][figure]))
            for pair, value in pairs.items():
                figure, other = theirs["pairs"][pair]
                differences.append((path.stem, kind, figure, pair, value, other))
            print(f"{path.stem:16} {kind:9} {len(columns)} columns, {len(pairs)} pairs", flush=True)
    found = pd.DataFrame(differences, columns=["table", "kind", "figure", "of", "ours", "theirs"])
    found["difference"] = (found["ours"].astype(float) - found["theirs"].astype(float)).abs()
    summary = found.groupby("figure")["difference"].agg(["count", "max"])
    print(f"\nLargest differences\n{summary.to_string()}")
    worst = found.sort_values("difference", ascending=False).head(10)
    if worst["difference"].max() > 1e-6:
        print(f"\nThe largest of them\n{worst.to_string(index=False)}")


if __name__ == "__main__":
    main()
