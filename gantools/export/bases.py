"""What kinds of exported models have in common: those of tables and of images, scorers and generators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from gantools.config import check
from gantools.data.images.schema import ImageSchema
from gantools.data.tables.schema import Column, Kind, Schema
from gantools.errors import ConfigError, ExportError
from gantools.export.columns import Port
from gantools.export.runtime import Exported
from gantools.score.calibrated import Calibrated
from gantools.score.threshold import Calibration
from gantools.words import percent

if TYPE_CHECKING:
    from gantools.encode.images import ImageEncoder

SCORES = ("anomaly_score", "p_value", "is_anomaly")
PIXELS_AT_ONCE = 2**17  # of images that are run at a time


def span(low: float, high: float) -> str:
    """(1, 3) -> '1 to 3'; (2, 2) -> '2'."""
    return f"{low:.15g}" if low == high else f"{low:.15g} to {high:.15g}"


def code(value: Any) -> str:
    """A value as Markdown code, whole even inside a table."""
    text = " ".join(str(value).split()).replace("|", "\\|") or " "
    return f"`` {text} ``" if "`" in text else f"`{text}`"


class OfTable(Exported):
    """A model of tables."""

    modality = "table"

    usage = "N rows are given at once. The column *missing* says how a missing cell is written."

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.schema_ = Schema.from_json(self.described["schema"])
        if not {port.name for port in self.outputs or self.inputs} <= set(self.schema_.names):
            raise ExportError("its metadata do not fit its columns", remedy="export it again")

    @property
    def columns(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.schema_.columns}

    def training_data(self) -> Iterable[str]:
        columns = self.schema_.columns
        yield f"{self.schema_.n_rows:,} rows, {len(columns)} columns"
        if unused := [column.name for column in columns if column.kind in (Kind.CONSTANT, Kind.IDENTIFIER)]:
            yield f"columns that were not learned from, constants or identifiers: {', '.join(map(code, unused))}"
        yield from super().training_data()

    def limits(self) -> Iterable[str]:
        yield "The levels and ranges of the columns are in the file's metadata."
        yield from super().limits()


class OfImages(Exported):
    """A model of images.

    size: pixels of each side, as nets see images; 0 where they see them as they are.
    """

    modality = "image"

    usage = "N images are given at once."

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.schema_ = ImageSchema.from_json(self.described["schema"])
        encoder = self.described.get("encoder")
        self.size = 0 if encoder is None else int(encoder["size"])

    @property
    def encoder_(self) -> ImageEncoder:
        """How images are resized, as the trained model has it. It takes torch, which nothing else here does."""
        from gantools.encode.images import ImageEncoder

        return ImageEncoder.from_json(self.described["encoder"])

    @property
    def largest_batch(self) -> int:
        width, height = (self.size or side[1] for side in (self.schema_.width, self.schema_.height))
        return max(1, PIXELS_AT_ONCE // (width * height))

    def training_data(self) -> Iterable[str]:
        width, height = (span(side[0], side[2]) for side in (self.schema_.width, self.schema_.height))
        yield f"{self.schema_.n_images:,} images, {width} pixels wide, {height} high"
        if self.size:
            yield f"resized to {self.size} pixels a side ({self.described['encoder']['fit']})"
        yield from super().training_data()


class ExportedCalibrated(Calibrated, Exported):
    """A scorer."""

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.threshold_ = float(self.described["threshold"])
        self.false_alarms = float(self.described["false_alarms"])
        self.contamination_ = float(self.described["contamination"])
        held = np.array(self.described["held_out"], dtype=np.float64)
        self.calibration_ = Calibration.from_tensors({"scores": held, "tail": self.described["tail"]})

    @staticmethod
    def facts(scorer: Any) -> dict[str, Any]:
        """What the metadata hold of a trained scorer."""
        tensors = scorer.calibration_.to_tensors()
        return {
            "schema": scorer.schema_.to_json(),
            "threshold": scorer.threshold_,
            "false_alarms": scorer.false_alarms,
            "contamination": scorer.contamination_,
            "held_out": tensors["scores"].tolist(),
            "tail": tensors["tail"].tolist(),
        }

    @property
    def settings(self) -> dict[str, npt.NDArray[Any]]:
        """The inputs that are no data: the threshold, and that nothing is to be explained."""
        found = {"threshold": np.array([self.threshold_]), "explain": np.array(False)}
        return {self.names[what]: value for what, value in found.items() if what in self.names}

    def training_data(self) -> Iterable[str]:
        if self.contamination_:
            yield f"the most abnormal {percent(self.contamination_)} were set aside before training"
        yield from super().training_data()

    def limits(self) -> Iterable[str]:
        yield "Do not score the training data: the model remembers them, and their scores are too low."
        yield "The threshold holds for data like the training data. When the data change, so do the false alarms."
        yield from super().limits()

    def differences(self, parity: Mapping[str, Any]) -> str:
        relative, flags = parity["score_relative"], parity["flags_differing"]
        return f"scores differ by {relative:.1e} of themselves at most, {flags} flags differ"


class FromNoise(Exported):
    """A generator."""

    asked_by: ClassVar[str] = "class"  # as trained generators have it

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.noise_width = int(self.described["noise_width"])

    def check_seed(self, seed: int) -> None:
        """Refuse a seed that is negative or would do nothing. Raises ConfigError."""
        check(seed >= 0, "seed", "must not be negative")
        if seed:
            self.check_noise("seed")

    def check_noise(self, where: str) -> None:
        """Refuse `where`, which says what noise to take, for a file that draws its own. Raises ConfigError."""
        if self.draws_noise:
            problem = "has no effect on a file that draws its noise itself"
            raise ConfigError(problem, where=where, remedy="leave it out, or export without `noise_inside`")

    @property
    def draws_noise(self) -> bool:
        """Whether the graph draws its noise itself."""
        return all(value.name != self.names["noise"] for value in self.takes)

    def limits(self) -> Iterable[str]:
        yield "Whether it repeats its training data has not been measured."
        yield from super().limits()


class ExportedMaker(FromNoise):
    """A generator: from noise and labels."""

    refuses_unknown = True

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.class_counts: tuple[int, ...] = tuple(self.described["class_counts"])
        if len(self.inputs) != 1 or len(self.class_counts) != len(self.inputs[0].levels or ()):
            raise ExportError("its metadata do not fit its classes", remedy="export it again")

    def run(self, feed: Mapping[str, Any], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """As `Exported.run`. A label that was not learned is refused by name."""
        port = self.inputs[0]
        known = self.levels(port)
        asked = dict.fromkeys(np.asarray(feed.get(port.name, [])).ravel().tolist())
        if unknown := [label for label in asked if label not in known]:
            remedy = f"the classes are {', '.join(map(repr, known))}"
            raise ExportError(f"there is no class {unknown[0]!r}", where=port.name, remedy=remedy)
        return super().run(feed, outputs)

    @property
    def class_counts_(self) -> tuple[int, ...]:
        """Samples of each class that were learned from, under the name that trained generators have for it."""
        return self.class_counts

    def asked(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """The inputs for noise [N, noise_width] and label codes [N]."""
        port = self.inputs[0]
        levels = np.array(port.levels, dtype=object if port.type == "string" else port.type)
        asked = {port.name: levels[label]}
        return asked if self.draws_noise else {**asked, self.names["noise"]: noise}

    def every_class(self, n: int) -> npt.NDArray[np.int64]:
        """Label codes [n] that go round the classes that were learned."""
        known = np.flatnonzero(np.array(self.class_counts) > 0)
        return known[np.arange(n) % len(known)]

    def levels(self, port: Port) -> Sequence[Any]:
        known = super().levels(port)
        if port.name != self.inputs[0].name:
            return known
        return [level for level, n in zip(known, self.class_counts, strict=True) if n]

    def training_data(self) -> Iterable[str]:
        counts = zip(self.inputs[0].levels or (), self.class_counts, strict=True)
        yield "classes: " + ", ".join(f"{code(level)} {count:,}" for level, count in counts)
        yield from super().training_data()
