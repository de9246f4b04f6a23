"""A kind of trained model that gantools has never heard of comes with three new files and changes none.

`fifth_kind/brightening` is a package as another project would install it: an estimator, a model and an export kind,
known to gantools by the entry points in its dist-info folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "fifth_kind"


def test_it_is_trained_saved_loaded_exported_run_and_shown(tmp_path: Path) -> None:
    paths = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, str(PACKAGE / "life.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
