"""Generators of rows: noise, label -> one output per column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools import registry
from gantools.augment.labels import wanted_labels
from gantools.data.tables.raw import Raw, labelled_rows
from gantools.data.tables.schema import Column, Kind
from gantools.export.bases import ExportedMaker, OfTable
from gantools.export.columns import Port, label_port, output_ports, to_cells
from gantools.export.proof import BATCHES, SEED, Parity, Tolerance, batches, check

if TYPE_CHECKING:
    from gantools.augment.synthesizer import Synthesizer
    from gantools.export.graph import Graph

TRIED = 1024  # rows that a proof makes


@registry.exported("table-generator")
class ExportedGenerator(OfTable, ExportedMaker):
    """A table generator from a file."""

    purpose = "Generates rows of a table, of the class that is asked for."
    needed = ("noise", "label")

    @classmethod
    def build(cls, maker: Synthesizer) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.export.modules import TableMaking, example

        schema, counts = maker.schema_, maker.class_counts_
        ports = output_ports(schema)
        label = label_port(schema[str(schema.target)])
        names = compose.free_names(("noise", "label"), ports)
        rows = maker.row_generator()
        module = TableMaking(rows, schema, ports, label).eval()
        made = [*(port for port in ports if port.name != schema.target), *(p for p in ports if p.name == schema.target)]
        given = torch.zeros(compose.ROWS_TRACED, rows.noise_width), example(label)
        label = Port(names["label"], label.type, label.levels, label.unseen, label.has_missing)
        outputs = [compose.traced_name(port) for port in made]
        proto = compose.traced(module, given, [names["noise"], compose.traced_name(label)], outputs)
        compose.add_label(proto, label, counts)
        compose.take_rows(proto, names["noise"])
        compose.count_rows(proto, [names["noise"], label.name])
        compose.spell_levels(proto, ports)
        compose.name_sizes(proto, {names["noise"]: (compose.BATCH, rows.noise_width)})
        facts = {"schema": schema.to_json(), "class_counts": list(counts), "noise_width": rows.noise_width}
        return Graph(proto, cls.kind, (label,), tuple(ports), names, facts)

    def prove(self, maker: Synthesizer, allowed: Tolerance) -> Parity:
        """On rows of every class, from the same noise."""
        label = self.every_class(TRIED)
        found: Parity = {"rows": TRIED, "batches": [*BATCHES, TRIED]}
        if self.draws_noise:
            cells = self.cells(np.zeros((0, 0), np.float32), label)
            return {**found, "noise": "inside", "missing_columns": len(self.outputs) - len(cells)}
        import torch

        from gantools.augment.rows import noise_in_chunks

        noise = np.concatenate([part.numpy() for _, part in noise_in_chunks(TRIED, self.noise_width, SEED)])
        made = maker.rows_from(torch.from_numpy(noise), label)
        encoder = maker.encoder_
        spans = dict(zip(self.schema_.numeric, (encoder.high - encoder.low).tolist(), strict=True))
        n_off, n_cells, largest = 0, 0, 0.0
        for rows in batches(TRIED):
            ours = self.generate(noise[rows], label[rows])
            for port in self.outputs:
                expected, got = made[port.name].iloc[rows].reset_index(drop=True), ours[port.name]
                if port.is_number and port.name in spans:
                    a, b = (_as_floats(values, self.schema_[port.name].dtype) for values in (expected, got))
                    off = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b) / (spans[port.name] or 1.0))
                    off = np.where(np.isnan(off), 1.0, off)
                    largest = max(largest, float(np.where(off > 0.01, 0.0, off).max(initial=0.0)))
                    n_off += int((off > allowed.step).sum())
                else:
                    other = (expected.astype(str) != got.astype(str)) & ~(expected.isna() & got.isna())
                    n_off += int(other.sum())
                n_cells += len(expected)
        found["cells_differing"] = n_off / max(1, n_cells)
        found["number_relative"] = largest
        check("share of cells that differ", found["cells_differing"], allowed.cells)
        return found

    # -- running ---------------------------------------------------------------------------------------------------

    def sample(self, counts: Mapping[Any, int] | int, *, seed: int = 0) -> pd.DataFrame:
        """The rows of `Synthesizer.sample(counts, seed=seed, refine=False)` on a CPU. Imports torch for its noise.

        counts: label -> number of rows, or a number. Raises ConfigError for an unknown label or a negative number.
        """
        from gantools.augment.rows import noise_in_chunks

        self.check_seed(seed)
        levels = self.schema_[str(self.schema_.target)].levels
        label = wanted_labels(counts, levels, self.class_counts)
        if not isinstance(counts, Mapping):
            np.random.default_rng(seed).shuffle(label)
        chunks = noise_in_chunks(len(label), self.noise_width, seed)
        parts = [self.cells(noise.numpy(), label[rows]) for rows, noise in chunks]
        parts = parts or [self.cells(np.zeros((0, self.noise_width), np.float32), label)]
        return self._frame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, label)

    def generate(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Rows in the training table's dtypes, identifiers made anew. noise: [N, noise_width]. label: [N] codes."""
        return self._frame(self.cells(noise, label), label)

    def cells(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """What the graph gives for each column."""
        names = [port.name for port in self.outputs]
        return dict(zip(names, self.run(self.asked(noise, label), names), strict=True))

    def _frame(self, cells: Mapping[str, npt.NDArray[Any]], label: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Columns of the graph as a table in the training table's dtypes."""
        schema = self.schema_
        columns = {port.name: to_cells(cells[port.name], port, schema[port.name]) for port in self.outputs}
        n = len(label)
        numbers = np.empty((n, len(schema.numeric)), order="F")
        codes = np.empty((n, len(schema.categorical)), dtype=np.int64, order="F")
        for index, name in enumerate(schema.numeric):
            numbers[:, index] = _numbers(columns[name])
        for index, name in enumerate(schema.categorical):
            code = columns[name].to_numpy()
            codes[:, index] = np.where(code >= len(schema[name].levels), code + 1, code)  # a level of the pool
        return labelled_rows(Raw(numbers, codes), label, schema, np.random.default_rng(0))

    # -- what it says of itself ------------------------------------------------------------------------------------

    @property
    def columns(self) -> Mapping[str, Column]:
        return {**super().columns, self.inputs[0].name: self.schema_[str(self.schema_.target)]}

    def limits(self) -> Iterable[str]:
        if any(column.kind is Kind.IDENTIFIER for column in self.schema_.columns):
            yield "Identifiers are not generated."
        yield from super().limits()

    def differences(self, parity: Mapping[str, Any]) -> str:
        return f"{parity['cells_differing']:.2%} of the cells differ"


def _numbers(cells: pd.Series) -> npt.NDArray[np.float64]:
    """Numbers, or points in time as microseconds with NaN for a missing one."""
    if cells.dtype.kind in "mM":
        ticks = cells.to_numpy().view(np.int64)
        return np.where(np.isnat(cells.to_numpy()), np.nan, ticks)
    return cells.to_numpy(dtype=np.float64)


def _as_floats(values: pd.Series, dtype: str) -> npt.NDArray[np.float64]:
    """Cells of a finished table as numbers that can be subtracted."""
    if "date" in dtype or "time" in dtype or "duration" in dtype or not pd.api.types.is_numeric_dtype(values):
        moments = pd.to_datetime(values.astype(str), errors="coerce", format="mixed", utc=True).dt.tz_localize(None)
        return np.where(moments.isna(), np.nan, moments.to_numpy().astype("datetime64[us]").view(np.int64))
    return values.to_numpy(dtype=np.float64, na_value=np.nan)
