"""`GANOverSampler`: imbalanced-learn's contract over a trained conditional GAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from gantools.augment.balance import Strategy, fresh_rows
from gantools.augment.synthesizer import LOOK_EVERY, Synthesizer
from gantools.data.tables.schema import as_pandas
from gantools.train.parameters import TRAINING, train_config


class GANOverSampler(BaseOverSampler):
    """Over-sample with rows that a conditional GAN has made.

    sampling_strategy: as everywhere in imbalanced-learn. model: a registered model, see `gantools models`; None for the
    default of `Synthesizer`. options: of
    that model. random_state: seed or RandomState; one seed gives one result on one machine. steps, budget_s,
    batch_size, device, devices, precision: of the training, see `TrainConfig`.

    X may be an array, a sparse matrix or a data frame with numbers, text, categories, booleans, dates and missing
    cells; its dtypes and columns come back. Original rows come first, untouched; labels are right by construction.

    Attributes: `sampling_strategy_`, `synthesizer_` (the trained Synthesizer), `n_copies_redrawn_`, `n_copies_left_`,
    `n_features_in_`, `feature_names_in_`.

        >>> from collections import Counter
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> X, y = X[:110], y[:110]
        >>> X_balanced, y_balanced = GANOverSampler(steps=20, random_state=0).fit_resample(X, y)
        >>> sorted(Counter(y_balanced.tolist()).items())
        [(0, 50), (1, 50), (2, 50)]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        **TRAINING,
        "model": [str, None],
    }

    def __init__(
        self,
        sampling_strategy: Strategy = "auto",
        *,
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        steps: int | None = None,
        budget_s: float | None = None,
        batch_size: int = 256,
        device: str = "auto",
        devices: int = 1,
        precision: str = "auto",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.model = model
        self.options = options
        self.random_state = random_state
        self.steps = steps
        self.budget_s = budget_s
        self.batch_size = batch_size
        self.device = device
        self.devices = devices
        self.precision = precision

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """Rows X and labels y with synthetic ones behind them; frames of other libraries come back as pandas ones."""
        return super().fit_resample(as_pandas(X), as_pandas(y), **params)  # type: ignore[no-any-return]

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, Any, bool]:  # noqa: N802 - imbalanced-learn's hook
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        if not isinstance(X, pd.DataFrame):
            options: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "ensure_all_finite": "allow-nan"}
            X, y = validate_data(self, X=X, y=y, reset=True, dtype=None, **options)  # text stays text
            return X, y, binarize_y
        validate_data(self, X=X, y=y, reset=True, skip_check_array=True)
        dense = {name: dtype.subtype for name, dtype in X.dtypes.items() if isinstance(dtype, pd.SparseDtype)}
        return X.astype(dense), y, binarize_y

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        train = replace(train_config(self), eval_every=LOOK_EVERY)
        counts = {label: n for label, n in self.sampling_strategy_.items() if n > 0}
        frame, target = frame_of(X, y)
        self.n_copies_redrawn_ = self.n_copies_left_ = 0
        if not counts:
            return X, y
        self.synthesizer_ = Synthesizer(self.model, self.options, train).fit(frame, target)
        if self.synthesizer_.report_.stopped == "interrupted":
            raise KeyboardInterrupt
        rows, self.n_copies_redrawn_, self.n_copies_left_ = fresh_rows(self.synthesizer_, frame, counts, train.seed)
        made, labels = rows.drop(columns=target), rows[target]
        y_out = pd.concat([pd.Series(y), labels], ignore_index=True).astype(pd.Series(y).dtype)
        if isinstance(X, pd.DataFrame):
            made.columns = X.columns
            return pd.concat([X, made], ignore_index=True).astype(X.dtypes), y_out
        values = made.to_numpy(dtype=X.dtype)
        if sparse.issparse(X):
            return sparse.vstack([X, sparse.csr_matrix(values)], format=X.format), y_out.to_numpy()
        return np.vstack([X, values]), y_out.to_numpy()


def frame_of(X: Any, y: Any) -> tuple[pd.DataFrame, str]:
    """Features and label as one frame with text names, and the name of the label's column."""
    if isinstance(X, pd.DataFrame):
        frame = X.reset_index(drop=True)
        frame.columns = [str(name) for name in X.columns]
    else:
        dense = X.toarray() if sparse.issparse(X) else check_array(X, dtype=None, ensure_all_finite=False)
        frame = pd.DataFrame(dense, columns=[f"x{index}" for index in range(dense.shape[1])]).infer_objects()
    target = "label"
    while target in frame.columns:
        target += "_"
    return frame.assign(**{target: np.asarray(y) if not isinstance(y, pd.Series) else y.to_numpy()}), target
