"""`ImageScorer`: how abnormal images are and where, from nets trained on normal ones and memories of them.

read -> one size -> train a detector per fold -> remember -> head -> calibrate on what each fold held out
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from gantools import registry
from gantools.config import TrainConfig, build, to_json
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import FITS, LARGEST, Fit, ImageEncoder, ImageLayout, allowed_sizes, check_size
from gantools.errors import CheckpointError, DataError
from gantools.models.base import DataSpec, ImageDetector
from gantools.nn.efficientnet import load_efficientnet
from gantools.score.assessed import Assessed
from gantools.score.image_head import ALIGNED, FEATURES, Features, ImageHead, Remembered
from gantools.score.patch_memory import BESIDE, placed
from gantools.score.table_head import score_of
from gantools.score.threshold import Calibration
from gantools.train.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint
from gantools.train.fold_images import FoldImages
from gantools.train.loop import Snapshot, resolve_device, train
from gantools.train.monitor import Progress, TrainingReport
from gantools.train.resume import digest, resumable, versions

Bytes = npt.NDArray[np.uint8]

TRIMS = 2  # times that the oddest of contaminated images are set aside and the rest looked at again
MIN_IMAGES = 4  # for each of two folds one to learn from and one to remember
PATCHES = 2000  # that one is compared with: those of its place and beside it, and as many from anywhere as lack
SOME = 100  # from anywhere in any case
PLACE_IMAGES = 1000  # images of which the patches of all places are remembered, at most,
REMEMBERED = 2**26  # numbers that these may be, and those of whole images
PIXELS_AT_ONCE = 2**17  # of images that are measured at a time
MAP_BYTES = 2**28  # of maps of held-out images; more images than these hold are not calibrated on
EXAMPLES = 256  # images that are asked whether they all show the same thing at the same place
N_EXAMPLES = 8  # training images that a saved scorer keeps
READ_AHEAD = 2  # portions of images that are decoded while nets compute
IMAGE_BYTES = 2**30  # of images that are learned from, in the size that nets see


class Images(Protocol):
    """Where images come from, as `gantools.data.images.source.ImageSource`."""

    schema: ImageSchema

    def __len__(self) -> int: ...

    def read(self, index: int) -> Bytes: ...

    def fingerprint(self) -> str: ...


class ImageScorer(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns what normal images look like, scores others and shows where they are odd.

    model: a registered image detector, see `gantools models`. options: of that model. size: pixels of each side that
    images are brought to; None takes the allowed one nearest to the median shorter side, 256 at most. shape: what is
    done with images of another aspect: "resize", "crop" or "pad". features: what patches are compared by: "own" needs
    nothing; "perceptual" needs the extra of that name and is better on photos. memory: how many normal images are
    remembered. false_alarms: share of normal images that may be called anomalies; where there
    are fewer training images than resolve it, those odder than all of them are. contamination: share of the training
    images that may be anomalies; the oddest so many are set aside before anything is learned. random_state: seed or
    RandomState. steps: of training, the model's own recommendation by default. budget_s: seconds after which training
    stops. batch_size: images per step. device: "auto", "cpu", "cuda", ...

    X is what `open_images` gives, an array [N, H, W] or [N, H, W, C] of bytes, or a sequence of arrays [H, W] or
    [H, W, C] of bytes.

    Attributes: `schema_`, `head_` (ImageHead), `encoder_` (ImageEncoder), `calibration_` (Calibration), `threshold_`,
    `offset_`, `pixel_threshold_` (of the maps, before heat maps are scaled by it: of normal images that were held out,
    a share `false_alarms` has any pixel above it), `report_` (TrainingReport), `n_learned_` (images that were learned
    from: where there are very many, some of them), `train_score_` ([N] scores of the training images by nets and
    memories without them), `examples_` (some of the training images, [n, C, size, size], to try an export with).
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [str],
        "options": [Mapping, None],
        "size": [Interval(Integral, 1, None, closed="left"), None],
        "shape": [StrOptions(set(FITS))],
        "features": [StrOptions(set(FEATURES))],
        "memory": [Interval(Integral, 8, None, closed="left")],
        "false_alarms": [Interval(Real, 0, 1, closed="neither")],
        "contamination": [Interval(Real, 0, 0.5, closed="left")],
        "random_state": ["random_state"],
        "steps": [Interval(Integral, 1, None, closed="left"), None],
        "budget_s": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "device": [str],
    }

    kind: ClassVar[str] = "image-scorer"
    schema_: ImageSchema
    encoder_: ImageEncoder
    head_: ImageHead
    calibration_: Calibration
    threshold_: float
    pixel_threshold_: float
    report_: TrainingReport
    n_learned_: int
    train_score_: npt.NDArray[np.float64]
    examples_: Tensor

    def __init__(
        self,
        *,
        model: str = "restorer",
        options: Mapping[str, Any] | None = None,
        size: int | None = None,
        shape: Fit = "resize",
        features: Features = "own",
        memory: int = 8000,
        false_alarms: float = 0.01,
        contamination: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        steps: int | None = None,
        budget_s: float | None = None,
        batch_size: int = 32,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.options = options
        self.size = size
        self.shape = shape
        self.features = features
        self.memory = memory
        self.false_alarms = false_alarms
        self.contamination = contamination
        self.random_state = random_state
        self.steps = steps
        self.budget_s = budget_s
        self.batch_size = batch_size
        self.device = device

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        folder: Path | str | None = None,
        resume: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> ImageScorer:
        """Learn what images X look like when nothing is wrong.

        y: ignored. folder: write checkpoints there while training and the finished scorer at the end. resume: go on
        from the folder's last checkpoint. progress: called now and then. Ctrl-C ends the training, and what has been
        learned is kept.

        Raises DataError for images that cannot be learned from, ConfigError for options, CheckpointError for the
        folder, TrainingError when nothing usable came out.
        """
        self._validate_params()
        cls = cast("type[ImageDetector]", registry.get(self.model, "score", "image"))
        options = build(cls.Options, self.options)
        source = _source(X)
        if len(source) < MIN_IMAGES:
            raise DataError(f"n_samples={len(source)} images are too few", remedy=f"give at least {MIN_IMAGES}")
        config = self._train_config()
        device = resolve_device(self.device)
        net = load_efficientnet() if self.features == "perceptual" else None
        self.schema_ = source.schema
        self.encoder_ = ImageEncoder(ImageLayout(source.schema.channels, self._size(source.schema)), self.shape)
        layout = self.encoder_.layout
        chosen = _some(len(source), IMAGE_BYTES // (layout.channels * layout.size**2), config.seed)
        images = self._resized(source, chosen)
        self.n_learned_ = len(chosen)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            detector = cls(DataSpec(layout, (len(images),)), options)
        kept = self._trimmed(images, self._new_head(detector, net, device), config.seed)
        rows = FoldImages.deal(images[kept], detector.n_folds, config.seed)
        described = self._config(config, detector, source.fingerprint())
        start = resumable(folder, described, "detector.") if resume and folder is not None else None
        outcome = train(
            detector, rows, (), config, resume=start, on_progress=progress,
            on_checkpoint=partial(_keep, Path(folder), described, self.schema_) if folder is not None else None,
        )  # fmt: skip
        self.report_, self._metrics, self._described = outcome.report, outcome.metrics, described
        self.examples_ = images[kept[_some(len(kept), N_EXAMPLES, config.seed)]]
        head = self._new_head(cast(ImageDetector, outcome.model), net, device)
        held_out = self._calibrate(head, rows, config.seed)
        self.train_score_ = np.full(len(source), np.nan)
        self.train_score_[chosen[kept]] = held_out
        aside = np.flatnonzero(np.isnan(self.train_score_))
        self.train_score_[aside] = np.concatenate([s for _, s, _ in self._scored(source, aside)] or [np.zeros(0)])
        if folder is not None and self.report_.stopped != "interrupted":
            self.save(folder)
        return self

    def _train_config(self) -> TrainConfig:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return TrainConfig(
            steps=self.steps, budget_s=self.budget_s, batch_size=int(self.batch_size), seed=seed, device=self.device
        )

    def _size(self, schema: ImageSchema) -> int:
        if self.size is not None:
            check_size(int(self.size))
            return int(self.size)
        shorter = min(schema.width[1], schema.height[1], LARGEST)
        return min(allowed_sizes(), key=lambda size: abs(size - shorter))

    def _new_head(self, detector: ImageDetector, net: Any, device: torch.device) -> ImageHead:
        """A head with memories still to be filled."""
        self.head_ = ImageHead(self.encoder_.layout, detector, self.features, (1, 1, 1))
        if net is not None:
            cast(Any, self.head_.patches).net.load_state_dict(net.state_dict())
        return self.head_.eval().to(device)

    @torch.no_grad()
    def _trimmed(self, images: Tensor, head: ImageHead, seed: int) -> npt.NDArray[np.int64]:
        """Which images to learn from: all but the share `contamination` that memories of the rest find oddest."""
        kept = torch.arange(len(images))
        n_kept = max(MIN_IMAGES, round(len(images) * (1 - self.contamination)))
        for _ in range(TRIMS if n_kept < len(images) else 0):
            self._remember(head, images, kept, seed)
            parts = torch.split(torch.arange(len(images)), self._at_once)
            recalled = [head.recall(self._seen(images[part]), part.to(self._device)) for part in parts]
            remembered, whole = (torch.cat(each) for each in zip(*recalled, strict=True))
            kept = head.oddness(remembered, whole, kept).sort(stable=True).indices[:n_kept].cpu().sort().values
        return kept.numpy()

    @torch.no_grad()
    def _calibrate(self, head: ImageHead, rows: FoldImages, seed: int) -> npt.NDArray[np.float64]:
        """Fill the memories, learn what is usual and calibrate. Returns the scores [N] of the images, as far as
        possible by nets and memories that did not see them."""
        images, fold = rows.images, rows.fold
        self._remember(head, images, torch.arange(len(images)), seed)
        places = head.grid**2 * (head.detector.n_maps + 1) * 4
        judged = torch.from_numpy(_some(len(images), max(MIN_IMAGES, MAP_BYTES // places), seed + 1))
        learned, remembered, whole = [], [], []
        for part in torch.split(judged, self._at_once):
            measures = head.measure(self._seen(images[part]), part.to(self._device))
            place = torch.arange(len(part))
            learned.append(measures.learned[fold[part], :, place].cpu())
            remembered.append(measures.remembered.cpu())
            whole.append(measures.whole.cpu())
        of_all = [torch.cat(each).to(self._device) for each in (learned, remembered, whole)]
        abnormality, peaks = head.calibrate(of_all[0], of_all[1], of_all[2], fold[judged].to(self._device))
        held_out = score_of(abnormality).cpu().numpy()
        self.calibration_ = Calibration.fit(held_out)
        self.threshold_ = _threshold(self.calibration_, self.false_alarms)
        of_peaks = Calibration.fit(score_of(peaks).cpu().numpy())
        self.pixel_threshold_ = _threshold(of_peaks, self.false_alarms)
        scores = np.empty(len(images))
        scores[judged.numpy()] = held_out
        rest = np.setdiff1d(np.arange(len(images)), judged.numpy())
        for more in torch.split(torch.from_numpy(rest), self._at_once) if len(rest) else ():
            scores[more.numpy()] = score_of(head(self._seen(images[more]), more.to(self._device))[0]).cpu().numpy()
        return scores

    def _remember(self, head: ImageHead, images: Tensor, kept: Tensor, seed: int) -> None:
        """Fill the memories: with all patches of kept images, as many more from anywhere as lack, and whole images."""
        random = torch.Generator().manual_seed(seed)
        order = kept[torch.randperm(len(kept), generator=random)[: self.memory]]
        each = -(-PATCHES // len(order))
        anywhere: list[Tensor] = []
        places: list[Tensor] = []
        wholes: list[Tensor] = []
        n_places = n_wholes = 0
        for part in torch.split(order, self._at_once):
            x = self._seen(images[part])
            found, whole = head.look(x)
            rows = placed(found).flatten(1, 2)  # [n, places, D + 2]
            drawn = torch.rand(rows.shape[:2], generator=random).topk(min(each, rows.shape[1]), 1).indices
            anywhere.append(rows.gather(1, drawn.to(rows.device).unsqueeze(2).expand(-1, -1, rows.shape[2])))
            if n_wholes < REMEMBERED // whole.shape[1]:
                wholes.append(whole)
                n_wholes += len(whole)
            if n_places < min(PLACE_IMAGES, REMEMBERED // found[0].numel()):
                places.append(found)
                n_places += len(found)
        of_places = torch.cat(places)
        looks = torch.cat(anywhere)  # [n, each, D + 2]
        owner = order.to(looks.device)
        lacking = max(SOME, PATCHES - BESIDE * len(of_places))
        some = torch.randperm(looks.shape[0] * looks.shape[1], generator=random)[:lacking].to(looks.device)
        seen = Remembered(
            looks.flatten(0, 1)[some], owner.repeat_interleave(looks.shape[1])[some],
            of_places, owner[: len(of_places)],
            torch.cat(wholes), owner[:n_wholes],
        )  # fmt: skip
        head.remember(seen, aligned=_explained_by_place(of_places[:EXAMPLES].flatten(2)) > ALIGNED)

    # -- scoring ---------------------------------------------------------------------------------------------------

    def anomaly_score(self, X: Any) -> npt.NDArray[np.float64]:
        """How abnormal images X are: [N] float64, above 0, about 0.7 for a usual one, higher = more abnormal."""
        source = self._fitting(X)
        parts = [score for _, score, _ in self._scored(source, np.arange(len(source)))]
        return np.concatenate(parts) if parts else np.zeros(0)

    def p_value(self, X: Any) -> npt.NDArray[np.float64]:
        """The share of held-out normal images at least as abnormal as images X: [N] float64."""
        return self.calibration_.p_value(self.anomaly_score(X))

    def score_samples(self, X: Any) -> npt.NDArray[np.float64]:
        """scikit-learn's sense: the negative of `anomaly_score`."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """`score_samples(X) - offset_`: negative for anomalies."""
        return self.score_samples(X) - self.offset_

    @property
    def offset_(self) -> float:
        return -self.threshold_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """1 for normal images, -1 for anomalies: [N] int64."""
        return np.where(self.anomaly_score(X) > self.threshold_, -1, 1)

    def fit_predict(self, X: Any, y: Any = None, **options: Any) -> npt.NDArray[np.int64]:
        """Learn from images X and judge each by the others: 1 for normal images, -1 for anomalies, [N] int64."""
        self.fit(X, y, **options)
        return np.where(self.train_score_ > self.threshold_, -1, 1)

    def explain(self, X: Any) -> list[npt.NDArray[np.float32]]:
        """A heat map [H, W] for each image in its own size, above 0; 1 is the pixel threshold."""
        return [found.heat for found in self.assess(X)]

    def assess(self, X: Any) -> Iterator[Assessed]:
        """Score, p-value, verdict and heat map of each image, in order, each image read once."""
        source = self._fitting(X)
        for images, scores, heats in self._scored(source, np.arange(len(source)), shapes=True):
            p_values = self.calibration_.p_value(scores)
            for (index, shape), score, p, heat in zip(images, scores, p_values, heats, strict=True):
                yield Assessed(index, float(score), float(p), bool(score > self.threshold_), self._heat(heat, shape))

    def _heat(self, places: Tensor, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
        """A map [grid, grid] on the scale of heat maps, in the size that its image had."""
        heat = (score_of(places) / self.pixel_threshold_).float().unsqueeze(0)
        return cast("npt.NDArray[np.float32]", self.encoder_.in_size(heat, *shape)[0].cpu().numpy())

    @property
    def _device(self) -> torch.device:
        return self.head_.total_scale.device

    @property
    def _at_once(self) -> int:
        return max(1, PIXELS_AT_ONCE // self.encoder_.layout.size**2)

    def _seen(self, images: Tensor) -> Tensor:
        return self.encoder_.scaled(images.to(self._device))

    def _fitting(self, X: Any) -> Images:
        """X as images with the channels that the scorer knows. Raises DataError."""
        check_is_fitted(self, "head_")
        source = _source(X)
        if len(source) and source.schema.channels != self.schema_.channels:
            problem = f"has images of {source.schema.channels} channels, the scorer knows {self.schema_.channels}"
            raise DataError(problem, where="X", remedy="read them with channels=" + str(self.schema_.channels))
        return source

    def _scored(
        self, source: Images, chosen: npt.NDArray[np.int64], shapes: bool = False
    ) -> Iterator[tuple[list[tuple[int, tuple[int, int]]], npt.NDArray[np.float64], Tensor]]:
        """Some images at a time: the number and size of each, their scores [n] and maps [n, grid, grid]."""
        for part, sizes, images in _read(source, chosen, self._at_once, self.encoder_):
            with torch.no_grad():
                abnormality, maps = self.head_(self._seen(images))
            named = list(zip(part.tolist(), sizes, strict=True))
            yield named, score_of(abnormality).cpu().numpy(), maps

    def _resized(self, source: Images, chosen: npt.NDArray[np.int64]) -> Tensor:
        """The images in the encoder's size: [N, C, size, size] uint8."""
        return torch.cat([images for _, _, images in _read(source, chosen, 256, self.encoder_)])

    def described(self) -> dict[str, Any]:
        """What a checkpoint's config.json says of the run."""
        return self._described

    # -- keeping ---------------------------------------------------------------------------------------------------

    def to(self, device: str) -> ImageScorer:
        """Score on another device ("auto", "cpu", "cuda", ...)."""
        self.head_.to(resolve_device(device))
        return self

    def save(self, folder: Path | str) -> None:
        """Write the scorer as a checkpoint folder. Raises CheckpointError when it cannot be written."""
        check_is_fitted(self, "head_")
        config = {
            **self._described,
            "parameters": {name: getattr(self, name) for name in SAVED_PARAMETERS},
            "threshold": self.threshold_,
            "pixel_threshold": self.pixel_threshold_,
            "report": self.report_.to_json(),
            "n_remembered": [len(memory.owner) for memory in self.head_.memories],
        }
        weights = {f"head.{name}": value for name, value in self.head_.state_dict().items()}
        weights["head.places.keys"] = weights["head.places.keys"].half()  # large, and no more exact than that
        weights |= {f"calibration.{k}": torch.from_numpy(v) for k, v in self.calibration_.to_tensors().items()}
        weights["train_score"] = torch.from_numpy(self.train_score_)
        weights["examples"] = self.examples_
        save_checkpoint(folder, Checkpoint(config, self.schema_.to_json(), weights, self._metrics))

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> ImageScorer:
        """Read a folder that `save` or `fit` wrote, on whichever device it was made. Raises CheckpointError."""
        checkpoint = load_checkpoint(folder, "image-scorer")
        config, weights = checkpoint.config, checkpoint.weights
        if "threshold" not in config:
            remedy = "go on with its training, or train again"
            raise CheckpointError("its training was interrupted", where=str(folder), remedy=remedy)
        try:
            scorer = cls(model=config["model"], options=config["options"], device=device, **config["parameters"])
            scorer.schema_ = ImageSchema.from_json(checkpoint.schema)
            scorer.encoder_ = ImageEncoder.from_json(config["encoder"])
            detector_class = cast("type[ImageDetector]", registry.get(scorer.model, "score", "image"))
            layout = scorer.encoder_.layout
            detector = detector_class(DataSpec(layout, (1,)), build(detector_class.Options, scorer.options))
            scorer.head_ = ImageHead(layout, detector, scorer.features, config["n_remembered"]).eval()
            load_weights(scorer.head_, weights, "head.", str(folder))
            scorer.train_score_, scorer.examples_ = weights["train_score"].numpy(), weights["examples"]
            scorer.calibration_ = Calibration.from_tensors(
                {name: weights[f"calibration.{name}"].numpy() for name in ("scores", "tail")}
            )
            scorer.threshold_, scorer.pixel_threshold_ = config["threshold"], config["pixel_threshold"]
            scorer.report_ = TrainingReport.from_json(config["report"])
            scorer._described = {name: config[name] for name in DESCRIBED}
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"its configuration lacks {error}", where=str(folder), remedy="train again"
            ) from error
        scorer._metrics = checkpoint.metrics
        return scorer.to(device)

    def _config(self, train: TrainConfig, detector: ImageDetector, fingerprint: str) -> dict[str, Any]:
        return {
            "kind": "image-scorer",
            "model": self.model,
            "options": dataclasses.asdict(detector.options),
            "train": to_json(train),
            "encoder": self.encoder_.to_json(),
            "data": fingerprint,
            "versions": versions(),
        }


SAVED_PARAMETERS = (
    "size", "shape", "features", "memory", "false_alarms", "contamination", "steps", "budget_s", "batch_size",
)  # fmt: skip
DESCRIBED = ("kind", "model", "options", "train", "encoder", "data", "versions")


def _keep(folder: Path, config: dict[str, Any], schema: ImageSchema, snapshot: Snapshot) -> None:
    """Write a checkpoint of a training that goes on."""
    weights = {f"detector.{name}": value for name, value in snapshot.weights.items()}
    save_checkpoint(
        folder, Checkpoint(config, schema.to_json(), weights, snapshot.metrics, snapshot.state, snapshot.counters)
    )


class _Arrays:
    """Images in memory, as a source."""

    def __init__(self, images: Sequence[Bytes]) -> None:
        self._images = images
        channels = {1 if image.ndim == 2 else image.shape[2] for image in images}
        if len(channels) > 1:
            raise DataError("has images of different numbers of channels", where="X", remedy="give all the same")
        heights, widths = (sorted(image.shape[k] for image in images) for k in (0, 1))
        spread = [(s[0], s[len(s) // 2], s[-1]) if s else (1, 1, 1) for s in (widths, heights)]
        n_channels = channels.pop() if channels else 1
        self.schema = ImageSchema(n_channels, 255, (), (), len(images), spread[0], spread[1], formats={})

    def __len__(self) -> int:
        return len(self._images)

    def read(self, index: int) -> Bytes:
        image = self._images[index]
        return image[:, :, None] if image.ndim == 2 else image

    def fingerprint(self) -> str:
        return digest(*self._images)


def _source(X: Any) -> Images:
    """X as a source of images. Raises DataError when it is none."""
    if hasattr(X, "read") and hasattr(X, "schema"):
        return cast(Images, X)
    images = list(X)
    for image in images:
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
            what = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise DataError(f"holds {what}, not an image", where="X", remedy="give uint8 arrays [H, W] or [H, W, C]")
        if image.ndim == 3 and image.shape[2] not in (1, 3, 4):
            problem = f"has images of {image.shape[2]} channels"
            raise DataError(problem, where="X", remedy="give 1 (grey), 3 (colour) or 4 (with opacity)")
    return _Arrays(images)


def _read(
    source: Images, chosen: npt.NDArray[np.int64], at_once: int, encoder: ImageEncoder
) -> Iterator[tuple[npt.NDArray[np.int64], list[tuple[int, int]], Tensor]]:
    """Some images at a time: their numbers, sizes (height, width) and pixels [n, C, size, size] uint8."""
    parts = [chosen[start : start + at_once] for start in range(0, len(chosen), at_once)]
    with ThreadPoolExecutor(READ_AHEAD) as pool:  # decoding goes on while nets compute
        waiting = deque(pool.submit(_decoded, source, part, encoder) for part in parts[:READ_AHEAD])
        for k, part in enumerate(parts):
            sizes, images = waiting.popleft().result()
            waiting.extend(pool.submit(_decoded, source, ahead, encoder) for ahead in parts[k + READ_AHEAD :][:1])
            yield part, sizes, images


def _decoded(source: Images, part: Iterable[int], encoder: ImageEncoder) -> tuple[list[tuple[int, int]], Tensor]:
    images = [source.read(int(index)) for index in part]
    alike = [list(group) for _, group in groupby(images, key=lambda image: image.shape)]
    resized = [encoder.resized(torch.from_numpy(np.stack(group))) for group in alike]
    return [(image.shape[0], image.shape[1]) for image in images], torch.cat(resized)


def _explained_by_place(patches: Tensor) -> float:
    """The share of what patches [N, D, places] look like that their place explains, 0 to 1, mean over channels.

    Large where all images show the same thing at the same place.
    """
    places = patches.mean(0, keepdim=True)
    total = patches.var((0, 2)) + 1e-9
    chance = total / len(patches)  # of images that have nothing in common
    return float(((places.var(2).squeeze(0) - chance).clamp(min=0) / total).mean())


def _threshold(calibration: Calibration, false_alarms: float) -> float:
    """The limit for this rate of false alarms, or for the smallest that the held-out images resolve."""
    return calibration.threshold(max(float(false_alarms), calibration.finest))


def _some(n: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Indices of at most so many of n images, drawn at random, ascending."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
