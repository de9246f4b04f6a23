"""Export a scorer, then run it as a service would: with onnxruntime and numpy alone.

    python examples/export_in_python.py

Takes about half a minute.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
from make_demo_data import make_screening

from gantools import AnomalyScorer, export_model


def main() -> None:
    """Fit on benign tumours, export, score the table by the file and compare."""
    table = make_screening()
    is_odd = table.pop("malignant").to_numpy() == 1
    scorer = AnomalyScorer(false_alarms=0.05, random_state=0).fit(table[~is_odd])
    with tempfile.TemporaryDirectory() as folder:
        file = export_model(scorer, Path(folder) / "scorer.onnx")
        print(f"{file.n_bytes / 1e6:.1f} MB, compared with the library on {file.parity['rows']:,} rows")

        # From here on nothing of gantools is needed.
        session = ort.InferenceSession(str(file.path))
        numpy_types = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
        rows = {
            value.name: table[value.name].to_numpy(numpy_types.get(value.type, object))
            for value in session.get_inputs()
        }
        score, is_anomaly = session.run(["anomaly_score", "is_anomaly"], rows)
        print(f"{is_anomaly[is_odd].sum()} of {is_odd.sum()} malignant tumours found")

        oddest = {name: cells[[score.argmax()]] for name, cells in rows.items()}
        [contribution] = session.run(["contribution"], {**oddest, "explain": np.array(True)})
        names = list(rows)
        print(f"The oddest row is odd for its {names[int(contribution[0].argmax())]}")


if __name__ == "__main__":
    main()
