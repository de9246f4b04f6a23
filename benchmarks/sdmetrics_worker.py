"""SDMetrics' figures of one pair of tables, in its own environment: called by agreement.py with a folder."""

import json
import sys
from pathlib import Path

import pandas as pd
from sdmetrics import column_pairs, single_column

folder = Path(sys.argv[1])
real, made = (pd.read_parquet(folder / f"{name}.parquet") for name in ("real", "made"))
asked = json.loads((folder / "asked.json").read_text())

columns = {
    name: {figure: float(getattr(single_column, figure).compute(real[name], made[name])) for figure in figures}
    for name, figures in asked["columns"].items()
}
pairs = {}
for pair in asked["pairs"]:
    names = pair.split("\t")
    is_number = [pd.api.types.is_numeric_dtype(real[name]) for name in names]
    figure = "CorrelationSimilarity" if all(is_number) else "ContingencySimilarity"
    options = (
        {}
        if all(is_number)
        else {"continuous_column_names": [n for n, yes in zip(names, is_number, strict=True) if yes]}
    )
    found = getattr(column_pairs, figure).compute(real[names], made[names], **options)
    pairs[pair] = [figure, float(found)]
(folder / "found.json").write_text(json.dumps({"columns": columns, "pairs": pairs}))
