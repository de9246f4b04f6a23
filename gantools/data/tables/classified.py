"""What a classifier says of rows, as the columns that are added to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.data.tables.raw import codes_to_labels
from gantools.data.tables.schema import Schema

PREDICTED, FLAG, PROBABILITY = "predicted", "is_flagged", "probability_"


def added_columns(schema: Schema) -> tuple[str, ...]:
    """The names of these columns for a table with such a target."""
    return PREDICTED, *_probabilities(schema), FLAG


def classified(
    decided: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float64],
    flagged: npt.NDArray[np.bool_],
    schema: Schema,
    index: pd.Index,
) -> pd.DataFrame:
    """decided: [N] codes of labels. probability: [N, classes]. flagged: [N]. index: of the rows."""
    found: dict[str, Any] = {PREDICTED: codes_to_labels(decided, schema).set_axis(index)}
    found |= {name: pd.Series(probability[:, k], index) for k, name in enumerate(_probabilities(schema))}
    return pd.DataFrame(found | {FLAG: pd.Series(flagged, index)}, index=index)


def _probabilities(schema: Schema) -> Sequence[str]:
    return [f"{PROBABILITY}{label}" for label in schema[str(schema.target)].levels]
