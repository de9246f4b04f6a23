"""`examples/score_batches.py` scores what a scorer has exported, with PyArrow and onnxruntime alone."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pandas as pd

from gantools import AnomalyScorer
from gantools.export.file import ExportedFile

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "score_batches.py"


def test_batches_are_scored_as_by_the_library(
    scorer: AnomalyScorer, scorer_file: ExportedFile, table: pd.DataFrame, tmp_path: Path
) -> None:
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert imported == {"__future__", "json", "sys", "pathlib", "numpy", "onnxruntime", "pyarrow"}
    spec = importlib.util.spec_from_file_location("score_batches", SCRIPT)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    rows = table.drop(columns="churned").reset_index(drop=True)
    rows.loc[::7, rows.columns[rows.isna().any()]] = None
    (tmp_path / "in").mkdir()
    rows[:200].to_parquet(tmp_path / "in" / "a.parquet")
    rows[200:].to_parquet(tmp_path / "in" / "b.parquet")
    example.main(str(scorer_file.path), str(tmp_path / "in"), str(tmp_path / "out"))
    found = pd.concat([pd.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in "ab"], ignore_index=True)
    expected = scorer.assess(rows)
    assert list(found)[: len(rows.columns)] == list(rows)
    scores = found.iloc[:, -3:].set_axis(expected.columns, axis=1)
    pd.testing.assert_frame_equal(scores, expected, rtol=1e-4, check_dtype=False)
