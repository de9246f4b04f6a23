"""What workflows on images with descriptions share: vectors read from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gantools.errors import DataError


def read_vectors(path: Path, n: int | None, width: int | None) -> npt.NDArray[np.float32]:
    """The rows of an .npy file, [n, width] float32. n, width: None for any. Raises DataError."""
    remedy = "write numbers with numpy.save, a row for each image"
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        problem = "does not exist" if not path.exists() else "is no .npy file of numbers"
        raise DataError(problem, where=str(path), remedy=remedy) from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "iuf":
        raise DataError("is not one array of numbers in rows", where=str(path), remedy=remedy)
    for size, wanted, what in ((len(found), n, "rows"), (found.shape[1], width, "numbers in a row")):
        if wanted is not None and size != wanted:
            raise DataError(f"has {size:,} {what} where there should be {wanted:,}", where=str(path), remedy=remedy)
    if not np.isfinite(found).all():
        raise DataError("has numbers that are not finite", where=str(path), remedy=remedy)
    return found.astype(np.float32)
