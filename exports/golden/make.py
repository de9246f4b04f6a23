"""Makes the golden exports: one small file of each kind, and what it gives for some inputs.

    python exports/golden/make.py

takes half a minute on one core and overwrites the `.onnx` and `.npz` files beside it. Run it again when the graphs
change on purpose, and commit what it wrote. tests/export/test_golden.py holds later versions to these files: an export
of today must run then, and give the same. The data are Fisher's iris and the UCI digits as scikit-learn ships them.

An `.npz` holds `given/<input>` and `expected/<output>`; text is in arrays of fixed width.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, load_iris

from gantools import registry
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig, to_json
from gantools.data.images.source import open_images
from gantools.data.tables.raw import to_raw
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.encode.pictures import read_pictures
from gantools.export.columns import to_feed
from gantools.export.file import export_model
from gantools.export.runtime import Exported, load_exported
from gantools.score.image_scorer import ImageScorer
from gantools.score.table_scorer import AnomalyScorer
from gantools.transform.translator import ImageTranslator

HERE = Path(__file__).parent
SIZE = 16
STEPS = 20
SEED = 0


def flowers() -> pd.DataFrame:
    """Iris as a table with a whole number, decimals, text and missing cells: [150, 5]."""
    iris = load_iris()
    length, _, petal, width = iris.data.T
    frame = pd.DataFrame(
        {
            "sepal length": length,
            "petal area": np.round(petal * width, 2),
            "petal width mm": np.rint(width * 10).astype(np.int64),
            "stem": np.where(length > 6, "long", np.where(length > 5.2, "middling", "short")),
            "species": iris.target_names[iris.target],
        }
    )
    frame.loc[[3, 60, 110], "petal area"] = np.nan
    frame.loc[[8, 77], "stem"] = None
    return frame


def images() -> tuple[np.ndarray, np.ndarray]:
    """Digits, enlarged to 16 by 16, and which they are: [1797, 16, 16] bytes, [1797]."""
    digits = load_digits()
    return np.kron(digits.images / 16 * 255, np.ones((2, 2))).astype(np.uint8), digits.target


def tiny(purpose: str, name: str, modality: str = "table") -> dict[str, Any]:
    """The smallest options of a registered model."""
    return to_json(registry.get(name, purpose, modality).tiny())


def keep(model: Any, name: str) -> Exported:
    """Export a model to `<name>.onnx` and open what was written."""
    export_model(model, HERE / f"{name}.onnx")
    return load_exported(HERE / f"{name}.onnx", "cpu", threads=1)


def record(file: Exported, name: str, given: dict[str, np.ndarray]) -> None:
    """Write the inputs and what the file makes of them to `<name>.npz`."""
    outputs = [value.name for value in file.session.get_outputs()]
    arrays = {f"given/{key}": plain(value) for key, value in given.items()}
    arrays |= {f"expected/{key}": plain(value) for key, value in zip(outputs, file.run(given, outputs), strict=True)}
    np.savez_compressed(HERE / f"{name}.npz", **arrays)


def plain(array: np.ndarray) -> np.ndarray:
    """Text in fixed width, so that no pickle is needed."""
    return array.astype(np.str_) if array.dtype.kind in "OUT" else array


def table_scorer() -> None:
    frame = flowers()
    learned = frame.sample(100, random_state=SEED)
    scorer = AnomalyScorer(memory=50, options=tiny("score", "denoiser"), steps=STEPS, random_state=SEED, device="cpu")
    file: Any = keep(scorer.fit(learned), "table-scorer")
    rows = frame.drop(learned.index).iloc[::4].copy()
    rows.iloc[0, 1] = np.nan
    rows.iloc[1, 3] = None
    rows.iloc[2, 3] = "a stem never seen"
    rows.iloc[3, 0] = 60.0
    given = to_feed(to_raw(rows, file.schema_), rows, file.inputs)
    record(file, "table-scorer", {**given, file.names["explain"]: np.array(True)})


def table_generator() -> None:
    train = TrainConfig(steps=STEPS, seed=SEED, device="cpu")
    maker = Synthesizer(options=tiny("generate", "tabular"), train=train).fit(flowers(), "species")
    file: Any = keep(maker, "table-generator")
    record(file, "table-generator", noise_and_labels(file, 24))


def image_scorer() -> None:
    pictures, digit = images()
    zeros = pictures[digit == 0]
    scorer = ImageScorer(
        size=SIZE, memory=8, options=tiny("score", "restorer", "image"), steps=STEPS, random_state=SEED, device="cpu"
    ).fit(list(zeros[:16]))
    file = keep(scorer, "image-scorer")
    record(file, "image-scorer", {"image": np.concatenate([zeros[100:103], pictures[digit == 1][:3]])[..., None]})


def image_generator() -> None:
    pictures, digit = images()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npz"
        np.savez(path, images=pictures[digit < 3][:120], labels=digit[digit < 3][:120])
        data = ImageSet.load(open_images(path, labelled=True), ImageEncoder(ImageLayout(1, SIZE)))
        train = ImageSynthesizer.default_train(steps=STEPS, seed=SEED, device="cpu")
        maker = ImageSynthesizer(options=tiny("generate", "lean", "image"), train=train).fit(data)
        file: Any = keep(maker, "image-generator")
    record(file, "image-generator", noise_and_labels(file, 6))


def image_translator() -> None:
    pictures, digit = images()
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "digits.npz", images=pictures[digit < 3][:60])
        data = read_pictures(Path(folder) / "digits.npz")
    train = ImageTranslator.default_train(steps=STEPS, seed=SEED, device="cpu")
    translator = ImageTranslator("inpaint", tiny("transform", "inpaint", "image"), train=train).fit(data)
    file = keep(translator, "image-translator")
    others = pictures[digit == 3][:3, :15, :13, None]
    holes = np.zeros(others.shape[:3], np.uint8)
    holes[:, 4:9, 3:10] = 1
    record(file, "image-translator", {"image": others, "mask": holes})


def noise_and_labels(file: Any, n: int) -> dict[str, np.ndarray]:
    """Noise and every label in turn, as inputs of a generator."""
    levels = file.inputs[0].levels
    noise = np.random.default_rng(SEED).standard_normal((n, file.noise_width), dtype=np.float32)
    label = np.array([levels[k % len(levels)] for k in range(n)], dtype=object)
    return {file.names["noise"]: noise, file.inputs[0].name: label}


if __name__ == "__main__":
    for make in (table_scorer, table_generator, image_scorer, image_generator, image_translator):
        make()
