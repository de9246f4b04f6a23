"""Figures of single columns are those of SDMetrics (benchmarks/agreement.py): what becomes of missing cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables.schema import infer_schema
from gantools.evaluate.table_columns import columns_likeness
from gantools.evaluate.table_rows import Rows


def kept(real: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, float | None]:
    schema = infer_schema(real)
    found = columns_likeness(Rows.of(real, schema), Rows.of(synthetic, schema))
    return {column.name: column.kept for column in found.columns}


def test_a_missing_cell_is_kept_where_the_real_column_has_some() -> None:
    real = pd.DataFrame({"x": np.arange(20.0), "city": ["Bern", "Rome"] * 10})
    synthetic = pd.DataFrame({"x": [1.0, 2.0, 99.0, np.nan], "city": ["Bern", "Oslo", None, "Rome"]})
    assert kept(real, synthetic) == {"x": pytest.approx(2 / 4), "city": pytest.approx(2 / 4)}
    real.loc[3, "x"], real.loc[4, "city"] = np.nan, None
    # of numbers the missing cells are left out, of levels they count as one that is there
    assert kept(real, synthetic) == {"x": pytest.approx(2 / 3), "city": pytest.approx(3 / 4)}
