"""Exported files against the library, in one run: the same flags, and how long each takes.

parity      flags, scores and p-values of a table's test rows and of test images, exported against library
latency     one row scored: median milliseconds of a session, of the library's nets alone (eager PyTorch, from tensors)
            and of the library as users call it (from a data frame)
throughput  1,024 rows a call, and generated rows at 1,024 a call
file        seconds of an export with its proof, megabytes of the file
Models are the defaults, trained for --steps on the training table; times do not depend on what they have learned.
Data: tables/adult_train.csv, adult_test.csv and images/mnist.npz below --data.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROWS = 1024
N_IMAGES = 500


def milliseconds(work: Callable[[], Any], seconds: float) -> float:
    """The median of as many runs as the time allows, three at least."""
    work()
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - started < seconds:
        one = time.perf_counter()
        work()
        times.append(time.perf_counter() - one)
    return 1000 * float(np.median(times))


def tell(what: str, **figures: Any) -> None:
    said = "  ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
    print(f"{what:30} {said}", flush=True)


def scoring(train: pd.DataFrame, test: pd.DataFrame, folder: Path, asked: argparse.Namespace) -> None:
    import torch

    from gantools.data.tables.raw import to_raw
    from gantools.export.columns import to_feed
    from gantools.export.file import export_model
    from gantools.export.kinds.table_scorer import ExportedScorer
    from gantools.export.runtime import load_exported
    from gantools.score.table_head import score_of
    from gantools.score.table_scorer import AnomalyScorer

    scorer = AnomalyScorer(random_state=0, steps=asked.steps, device="cpu").fit(train)
    found = export_model(scorer, folder / "scorer.onnx")
    tell("file: table scorer", seconds=found.seconds, megabytes=found.n_bytes / 1e6)
    threads = asked.threads or None
    exported = load_exported(found.path, "cpu", threads=threads)
    assert isinstance(exported, ExportedScorer)

    rows = pd.concat([test, train]).head(20_000).reset_index(drop=True)
    theirs, ours = scorer.assess(rows), exported.assess(rows)
    off = (ours["anomaly_score"] / theirs["anomaly_score"] - 1).abs()
    tell(
        "parity: rows", rows=len(rows), flags_differing=int((ours["is_anomaly"] != theirs["is_anomaly"]).sum()),
        anomalies=int(theirs["is_anomaly"].sum()), score_relative=float(off.max()),
        p_values_differing=float((ours["p_value"] != theirs["p_value"]).mean()),
    )  # fmt: skip

    names = ["anomaly_score", "p_value", "is_anomaly"]
    if asked.threads:
        torch.set_num_threads(asked.threads)
    for n in (1, ROWS):
        frame = rows.head(n)
        raw = to_raw(frame, scorer.schema_)
        feed = to_feed(raw, frame, exported.inputs)
        tensors = torch.from_numpy(raw.numbers.copy()), torch.from_numpy(raw.codes.copy())
        with torch.inference_mode():
            eager = milliseconds(lambda tensors=tensors: score_of(scorer.head_(*tensors)), asked.seconds)
        session = milliseconds(lambda feed=feed: exported.session.run(names, feed), asked.seconds)
        library = milliseconds(lambda frame=frame: scorer.assess(frame), asked.seconds)
        tell(
            f"{'latency' if n == 1 else 'throughput'}: {n} rows scored", session_ms=session, eager_ms=eager,
            library_ms=library, times_eager=eager / session, times_library=library / session,
        )  # fmt: skip


def generating(train: pd.DataFrame, folder: Path, asked: argparse.Namespace) -> None:
    import torch

    from gantools.augment.synthesizer import Synthesizer
    from gantools.config import TrainConfig
    from gantools.export.file import export_model
    from gantools.export.kinds.table_generator import ExportedGenerator
    from gantools.export.runtime import load_exported

    maker = Synthesizer(train=TrainConfig(steps=asked.steps, device="cpu")).fit(train, str(train.columns[-1]))
    found = export_model(maker, folder / "generator.onnx")
    tell("file: table generator", seconds=found.seconds, megabytes=found.n_bytes / 1e6)
    exported = load_exported(found.path, "cpu", threads=asked.threads or None)
    assert isinstance(exported, ExportedGenerator)
    label = np.arange(ROWS) % len(exported.class_counts)
    noise = torch.randn(ROWS, exported.noise_width, generator=torch.Generator().manual_seed(0))
    rows, codes = maker.row_generator(), torch.from_numpy(label)
    levels = np.array(exported.inputs[0].levels, dtype=object)
    names = [port.name for port in exported.outputs]
    feed = {exported.names["noise"]: noise.numpy(), exported.inputs[0].name: levels[label]}
    with torch.inference_mode():
        eager = milliseconds(lambda: rows(noise, codes), asked.seconds)
    session = milliseconds(lambda: exported.session.run(names, feed), asked.seconds)
    library = milliseconds(lambda: maker.rows_from(noise, label), asked.seconds)
    tell(
        f"throughput: {ROWS} rows generated", session_ms=session, eager_ms=eager, library_ms=library,
        session_rows_per_s=1000 * ROWS / session, times_eager=eager / session, times_library=library / session,
    )  # fmt: skip


def images(data: Path, folder: Path, asked: argparse.Namespace) -> None:
    from gantools.export.file import export_model
    from gantools.export.kinds.image_scorer import ExportedImageScorer
    from gantools.export.runtime import load_exported
    from gantools.score.image_scorer import ImageScorer

    with np.load(data / "images" / "mnist.npz") as held:
        train, test = held["x_train"][held["y_train"] == 8][:1000], held["x_test"][:: 10_000 // N_IMAGES]
    scorer = ImageScorer(random_state=0, steps=asked.image_steps, device="cpu").fit(train)
    found = export_model(scorer, folder / "images.onnx")
    tell("file: image scorer", seconds=found.seconds, megabytes=found.n_bytes / 1e6)
    exported = load_exported(found.path, "cpu", threads=asked.threads or None)
    assert isinstance(exported, ExportedImageScorer)
    began = time.perf_counter()
    theirs = list(scorer.assess(test))
    library = time.perf_counter() - began
    began = time.perf_counter()
    score, _, flagged, heat = exported.score(test[..., None])
    session = time.perf_counter() - began
    expected = np.array([one.anomaly_score for one in theirs])
    tell(
        "parity: images", images=len(test), anomalies=int(sum(one.is_anomaly for one in theirs)),
        flags_differing=int((flagged != [one.is_anomaly for one in theirs]).sum()),
        score_relative=float(np.abs(score / expected - 1).max()),
        heat_relative=float(np.abs(heat - np.stack([one.heat for one in theirs])).max() / heat.max()),
        times_library=library / session,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = os.environ.get("GANTOOLS_DATA")
    default = Path(given) if given else HERE.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder of data (default: the shared one)")
    parser.add_argument("--steps", type=int, default=200, help="of training on tables")
    parser.add_argument("--image-steps", type=int, default=60, help="of training on images")
    parser.add_argument("--seconds", type=float, default=3.0, help="that each time is taken for")
    parser.add_argument("--threads", type=int, default=0, help="of both sides (default: each side's own)")
    asked = parser.parse_args()
    train, test = (pd.read_csv(asked.data / "tables" / f"adult_{part}.csv") for part in ("train", "test"))
    with tempfile.TemporaryDirectory() as folder:
        scoring(train, test, Path(folder), asked)
        generating(train, Path(folder), asked)
        images(asked.data, Path(folder), asked)


if __name__ == "__main__":
    main()
