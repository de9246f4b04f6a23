"""Train ctgan on FOLDER/train.parquet as FOLDER/job.json says, and leave its draws and times there.

Run by `peers.ctgan_job` with the interpreter of ctgan's own environment; imports nothing of the project.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ctgan import CTGAN

warnings.filterwarnings("ignore")
folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
table = pd.read_parquet(folder / "train.parquet")
torch.manual_seed(job["seed"])
np.random.seed(job["seed"])  # noqa: NPY002  (ctgan draws from the global generator)

started = time.perf_counter()
model = CTGAN(epochs=job["epochs"])
model.fit(table, job["discrete"])
times = {"fit": time.perf_counter() - started, "draws": []}
for i, draw in enumerate(job["draws"]):
    started = time.perf_counter()
    rows = model.sample(draw["n"], draw.get("column"), draw.get("value"))
    times["draws"].append(time.perf_counter() - started)
    rows.to_parquet(folder / f"draw-{i}.parquet", index=False)
(folder / "times.json").write_text(json.dumps(times))
