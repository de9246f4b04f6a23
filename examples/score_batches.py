"""Score a folder of Parquet files with an exported scorer, as a batch job does, by PyArrow and onnxruntime alone.

    python examples/score_batches.py scorer.onnx payments/ scored/
    python examples/score_batches.py scorer.onnx 's3://bucket/in?region=eu-west-1' 's3://bucket/out?region=eu-west-1'

Each file comes out under its name with `anomaly_score`, `p_value` and `is_anomaly` behind its columns.
`with_scores` is what `mapInArrow` of Spark or `map_batches` of Ray Data would call.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

ROWS = 8192  # at a time
ARROW = {"float32": pa.float32(), "float64": pa.float64(), "int64": pa.int64(), "string": pa.string()}
SCORES = ("anomaly_score", "p_value", "is_anomaly")


def with_scores(rows: pa.Table | pa.RecordBatch, session: ort.InferenceSession) -> pa.Table:
    """The rows with their scores behind. The file says of each column what type it takes and what a missing cell is."""
    described = session.get_modelmeta().custom_metadata_map
    feed = {}
    for column in json.loads(described["gantools.inputs"]):
        cells = pa.table([rows[column["name"]]], ["cells"])["cells"]
        if column["unit"]:
            since = column["unit"].startswith("microseconds since")
            cells = cells.cast(pa.timestamp("us") if since else pa.duration("us")).cast(pa.int64())
        cells = cells.cast(ARROW[column["type"]])
        missing = np.nan if column["missing"] == "NaN" else column["missing"]
        feed[column["name"]] = pc.fill_null(cells, missing).to_numpy()
        if column["type"] == "string":
            feed[column["name"]] = feed[column["name"]].astype(object)
    names = json.loads(described["gantools.names"])  # another one where a column is called so
    found = session.run([names[name] for name in SCORES], feed)
    table = pa.table(rows) if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
    for name, values in zip(SCORES, found, strict=True):
        table = table.append_column(names[name], pa.array(values))
    return table


def place(text: str) -> tuple[pafs.FileSystem, str]:
    """A file system and a path in it, of an address or a local path."""
    if "://" in text:
        return pafs.FileSystem.from_uri(text)
    return pafs.LocalFileSystem(), str(Path(text).resolve())


def main(model: str, source: str, target: str) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])  # or CUDAExecutionProvider first
    (read_from, folder), (write_to, out) = place(source), place(target)
    write_to.create_dir(out)
    for fragment in ds.dataset(folder, filesystem=read_from, format="parquet").get_fragments():
        writer, path = None, f"{out}/{Path(fragment.path).name}"
        for batch in fragment.to_batches(batch_size=ROWS):
            if len(batch):
                scored = with_scores(batch, session)
                writer = writer or pq.ParquetWriter(path, scored.schema, filesystem=write_to)
                writer.write_table(scored)
        if writer is not None:
            writer.close()
            print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
