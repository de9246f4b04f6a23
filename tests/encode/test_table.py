"""The encoder: rows come back, distributions come back, and its search agrees with numpy's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gantools.data.tables.raw import MISSING, Raw, from_raw, to_raw
from gantools.data.tables.schema import infer_schema
from gantools.encode.table import TableEncoder, interpolate

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def fit(frame: pd.DataFrame) -> tuple[TableEncoder, Raw]:
    schema = infer_schema(frame, "label")
    raw = to_raw(frame, schema)
    return TableEncoder.fit(raw, schema), raw


def round_trip(encoder: TableEncoder, raw: Raw) -> tuple[np.ndarray, np.ndarray]:
    numbers, codes = encoder.inverse(encoder(torch.from_numpy(raw.numbers), torch.from_numpy(raw.codes)))
    return numbers.numpy(), codes.numpy()


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(3, 60))
    whole = draw(hnp.arrays(np.int64, n, elements=st.integers(-50, 50)))
    cents = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 10_000))) / 100
    holes = draw(hnp.arrays(np.bool_, n))
    town = draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=n, max_size=n))
    return pd.DataFrame(
        {
            "whole": whole,
            "cents": np.where(holes, np.nan, cents),
            "spiked": np.where(holes, 0.0, cents),
            "town": pd.Series(town, dtype="str"),
            "label": ["x", "y"] * (n // 2) + ["x"] * (n % 2),
        }
    )


@quick
@given(tables())
def test_rows_come_back(frame: pd.DataFrame) -> None:
    schema = infer_schema(frame, "label")
    raw = to_raw(frame, schema)
    encoder = TableEncoder.fit(raw, schema)
    numbers, codes = round_trip(encoder, raw)
    np.testing.assert_array_equal(codes, raw.codes)
    back = from_raw(Raw(numbers, codes), schema, np.random.default_rng(0))
    pd.testing.assert_frame_equal(back, frame[list(back.columns)])


@quick
@given(tables(), st.integers(0, 2**31))
def test_rows_drawn_from_their_intervals_come_back_too(frame: pd.DataFrame, seed: int) -> None:
    encoder, raw = fit(frame)
    table = encoder.encode(raw)
    x = encoder.draw(table, torch.arange(len(frame)), torch.Generator().manual_seed(seed))
    numbers, codes = encoder.inverse(x)
    np.testing.assert_array_equal(codes.numpy(), raw.codes)
    np.testing.assert_array_equal(np.isnan(numbers.numpy()), np.isnan(raw.numbers))
    names = infer_schema(frame, "label").numeric
    if "spiked" in names:
        j = names.index("spiked")
        zero = raw.numbers[:, j] == 0
        if zero.sum() >= max(3, len(frame) / 100):
            assert (numbers.numpy()[zero, j] == 0).all()


def test_a_spike_keeps_its_share_and_missing_cells_theirs() -> None:
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(4000) < 0.9, 0.0, rng.lognormal(8, 1, 4000))
    gain[rng.random(4000) < 0.2] = np.nan
    encoder, _ = fit(pd.DataFrame({"gain": gain, "label": ["x", "y"] * 2000}))
    scores = torch.logit(torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0))) / (np.pi / np.sqrt(3))
    numbers = encoder.numbers(scores).numpy()[:, 0]
    assert np.isnan(numbers).mean() == pytest.approx(np.isnan(gain).mean(), abs=0.01)
    assert (numbers == 0).mean() == pytest.approx((gain == 0).mean(), abs=0.015)
    for q in (0.95, 0.99):
        assert np.nanquantile(numbers, q) == pytest.approx(np.nanquantile(gain, q), rel=0.12)


def test_encoded_numbers_are_continuous_and_of_unit_size() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"stars": rng.integers(1, 6, 5000), "label": ["x", "y"] * 2500})
    encoder, raw = fit(frame)
    x = encoder.draw(encoder.encode(raw), torch.arange(5000), torch.Generator().manual_seed(0))[:, 0]
    assert len(x.unique()) > 4900  # five values, yet no lattice for a discriminator to see
    assert x.mean().abs() < 0.05 and x.std() == pytest.approx(1, abs=0.05)


def test_unseen_and_missing_levels() -> None:
    frame = pd.DataFrame({"town": ["a", "b", "b", None] * 5, "size": range(20), "label": ["x", "y"] * 10})
    encoder, _ = fit(frame)
    codes = torch.tensor([[-2], [MISSING], [0]])
    x = encoder(torch.zeros(3, encoder.layout.n_numeric, dtype=torch.float64), codes)
    levels = x[:, encoder.layout.n_numeric :]
    assert levels.sum(1).tolist() == [0, 1, 1]
    assert encoder.codes(x)[:, 0].tolist() == [MISSING, MISSING, 0]


@quick
@given(
    hnp.arrays(np.float64, 9, elements=st.floats(-100, 100)),
    hnp.arrays(np.float64, 5, elements=st.floats(-120, 120)),
)
def test_interpolate_agrees_with_numpy_away_from_jumps(places: np.ndarray, x: np.ndarray) -> None:
    places = np.sort(places)
    value = np.arange(9.0)
    away = ~np.isin(x, places)
    for closed in (True, False):
        got = interpolate(
            torch.from_numpy(x[:, None]), torch.from_numpy(places[None]), torch.from_numpy(value[None]), closed=closed
        )
        np.testing.assert_allclose(got.numpy()[away, 0], np.interp(x, places, value)[away], atol=1e-9)


def test_interpolate_takes_either_side_of_a_jump() -> None:
    at, value = torch.tensor([[0.0, 1.0, 1.0, 2.0]]), torch.tensor([[0.0, 0.2, 0.8, 1.0]])
    x = torch.tensor([[1.0]])
    assert interpolate(x, at, value, closed=False).item() == pytest.approx(0.2)
    assert interpolate(x, at, value, closed=True).item() == pytest.approx(0.8)


def test_exports_to_onnx(tmp_path: object) -> None:
    import onnxruntime

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "gain": np.where(rng.random(200) < 0.5, 0, rng.normal(size=200)),
            "town": rng.choice(["a", "b"], 200),
            "label": ["x", "y"] * 100,
        }
    )
    encoder, raw = fit(frame)
    args = (torch.from_numpy(raw.numbers), torch.from_numpy(raw.codes))
    program = torch.onnx.export(
        encoder.eval(),
        args,
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("rows")}, {0: torch.export.Dim("rows")}),
    )
    path = f"{tmp_path}/encoder.onnx"
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    for n in (1, 7, 200):
        got = session.run(None, dict(zip(names, [a[:n].numpy() for a in args], strict=True)))[0]
        np.testing.assert_allclose(got, encoder(*(a[:n] for a in args)).numpy(), atol=1e-5)
