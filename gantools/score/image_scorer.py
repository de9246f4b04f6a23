"""`ImageScorer`: how abnormal images are and where, from nets trained on normal ones and memories of them.

read -> one size -> train a detector per fold -> remember -> head -> calibrate on what each fold held out
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from gantools import registry
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import FITS, LARGEST, Fit, ImageEncoder, ImageLayout, allowed_sizes, check_size
from gantools.errors import DataError
from gantools.models.base import ImageDetector
from gantools.nn.efficientnet import load_efficientnet
from gantools.score.assessed import Assessed
from gantools.score.base import Scorer, detector_for, drawn
from gantools.score.calibrated import Floats, Indices
from gantools.score.image_head import ALIGNED, FEATURES, Features, ImageHead, Remembered
from gantools.score.patch_memory import BESIDE, placed
from gantools.score.table_head import score_of
from gantools.score.threshold import Calibration
from gantools.train.devices import resolve_device
from gantools.train.loop import OnProgress
from gantools.train.parameters import one_of, whole_number
from gantools.train.resume import digest
from gantools.train.samplers import ByFold, Examples, HeldOut
from gantools.train.stores import Images

Bytes = npt.NDArray[np.uint8]

PASSES = 3  # of looking at all images take as long as filling the memories and calibrating
HELD_OUT_IMAGES = 16  # per fold, that the detector is judged on while it trains
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


class Source(Protocol):
    """Where images come from, as `gantools.data.images.source.ImageSource`."""

    schema: ImageSchema

    def __len__(self) -> int: ...

    def read(self, index: int) -> Bytes: ...

    def with_white(self, white: int | None) -> Self: ...

    def fingerprint(self) -> str: ...


@registry.kind("image-scorer")
class ImageScorer(Scorer):
    """Learns what normal images look like, scores others and shows where they are abnormal.

    model: a registered image detector, see `gantools models`. options: of that model. size: pixels of each side that
    images are brought to; None takes the allowed one nearest to the median shorter side, 256 at most. shape: what is
    done with images of another aspect: "resize", "crop" or "pad". features: what patches are compared by: "own" needs
    nothing; "perceptual" needs the extra of that name and is better on photos. memory: how many normal images are
    remembered. false_alarms: share of normal images that may be called anomalies; where there
    are fewer training images than resolve it, those odder than all of them are. contamination: share of the training
    images that may be anomalies; the oddest so many are set aside before anything is learned. "auto": as of
    `AnomalyScorer`. tail: extrapolate the
    scores of held-out images, for rates of false alarms that they cannot resolve by counting. random_state: seed or
    RandomState. budget_s: seconds that `fit` may take. steps, batch_size, device, devices, precision: of the training,
    see `TrainConfig`.

    X is what `open_images` gives, an array [N, H, W] or [N, H, W, C] of bytes, or a sequence of arrays [H, W] or
    [H, W, C] of bytes.

    Attributes: `schema_`, `head_` (ImageHead), `encoder_` (ImageEncoder), `calibration_` (Calibration), `threshold_`,
    `offset_`, `pixel_threshold_` (of the maps, before heat maps are scaled by it: of normal images that were held out,
    a share `false_alarms` has any pixel above it), `report_` (TrainingReport), `n_learned_` (images that were learned
    from: where there are very many, some of them), `train_score_` ([N] scores of the training images by nets and
    memories without them), `examples_` (some of the training images, [n, C, size, size], to try an export with).
    """

    modality = "image"
    noun = "a scorer of images"
    settles_for_finest = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Scorer._parameter_constraints,
        "size": [whole_number(1), None],
        "shape": [one_of(FITS)],
        "features": [one_of(FEATURES)],
        "memory": [whole_number(8)],
    }

    schema_: ImageSchema
    encoder_: ImageEncoder
    head_: ImageHead
    pixel_threshold_: float
    n_learned_: int
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
        contamination: float | Literal["auto"] = 0.0,
        tail: bool = False,
        random_state: int | np.random.RandomState | None = None,
        steps: int | None = None,
        budget_s: float | None = None,
        batch_size: int = 32,
        device: str = "auto",
        devices: int = 1,
        precision: str = "auto",
    ) -> None:
        self.model = model
        self.options = options
        self.size = size
        self.shape = shape
        self.features = features
        self.memory = memory
        self.false_alarms = false_alarms
        self.contamination = contamination
        self.tail = tail
        self.random_state = random_state
        self.steps = steps
        self.budget_s = budget_s
        self.batch_size = batch_size
        self.device = device
        self.devices = devices
        self.precision = precision

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        folder: Path | str | None = None,
        resume: bool = False,
        progress: OnProgress | None = None,
    ) -> Self:
        """Learn what images X look like when nothing is wrong.

        y: ignored. folder: write checkpoints there while training and the finished scorer at the end. resume: go on
        from the folder's last checkpoint. progress: called now and then. Ctrl-C ends the training, and what has been
        learned is kept.

        Raises DataError for images that cannot be learned from, ConfigError for options, CheckpointError for the
        folder, TrainingError when nothing usable came out.
        """
        began = time.perf_counter()
        self._validate_params()
        source = _source(X)
        if len(source) < MIN_IMAGES:
            raise DataError(f"n_samples={len(source)} images are too few", remedy=f"give at least {MIN_IMAGES}")
        config = self._train_config()
        device = resolve_device(self.device)
        net = load_efficientnet() if self.features == "perceptual" else None
        self.schema_ = source.schema
        self.encoder_ = ImageEncoder(ImageLayout(source.schema.channels, self._size(source.schema)), self.shape)
        layout = self.encoder_.layout
        chosen = drawn(len(source), IMAGE_BYTES // (layout.channels * layout.size**2), config.seed)
        images = self._resized(source, chosen)
        self.n_learned_ = len(chosen)
        self.fingerprint_ = source.fingerprint()
        detector = cast(ImageDetector, self._new_detector(layout, config.seed))
        untrained = self._new_head(detector, net, device)
        oddness = partial(self._oddness, images, untrained, config.seed)
        kept, beyond = self._trimmed(len(images), MIN_IMAGES, oddness)
        folds = ByFold.of(len(kept), detector.n_folds, config.seed)
        examples = Examples(Images(images[kept]), folds, HeldOut(HELD_OUT_IMAGES))
        some = images[: self._at_once]
        n_parts = PASSES * len(kept) / len(some)
        config = self._in_time(config, began, lambda: untrained.look(self._seen(some))[1], n_parts)
        model = self._run(detector, examples, config, folder=folder, resume=resume, progress=progress)
        self.contamination_ = len(beyond) / len(images)
        self.examples_ = images[kept[drawn(len(kept), N_EXAMPLES, config.seed)]]
        head = self._new_head(cast(ImageDetector, model), net, device)
        held_out, judged, peaks = self._held_out(head, images[kept], folds.fold, config.seed)
        self.train_score_ = np.full(len(source), np.nan)
        self.train_score_[chosen[kept]] = held_out
        more = np.flatnonzero(np.isnan(self.train_score_))
        found = [(scores, places.amax((1, 2)).cpu().numpy()) for _, scores, places in self._scored(source, more)]
        own, rare = self._counted(len(images), kept, beyond, judged, config.seed)
        if found:
            self.train_score_[more], peaks_of_more = (np.concatenate(each) for each in zip(*found, strict=True))
            peaks = np.concatenate([peaks, peaks_of_more[np.searchsorted(more, chosen[rare])]])
        self._calibrate_on(self.train_score_[chosen[np.concatenate([own, rare])]])
        self.pixel_threshold_ = self._limit(Calibration.fit(score_of(torch.from_numpy(peaks)).numpy()))
        self._keep(folder)
        return self

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
    def _oddness(self, images: Tensor, head: ImageHead, seed: int, known: Indices) -> Floats:
        """How odd images [N] are to memories of those at the given places."""
        kept = torch.from_numpy(known)
        self._remember(head, images, kept, seed)
        parts = torch.split(torch.arange(len(images)), self._at_once)
        recalled = [head.recall(self._seen(images[part]), part.to(self.device_)) for part in parts]
        remembered, whole = (torch.cat(each) for each in zip(*recalled, strict=True))
        return cast(Floats, head.oddness(remembered, whole, kept).double().cpu().numpy())

    @torch.no_grad()
    def _held_out(
        self, head: ImageHead, images: Tensor, fold: Tensor, seed: int
    ) -> tuple[Floats, Indices, npt.NDArray[np.float32]]:
        """Fill the memories and learn what is usual. Returns the scores [N] of the images, which of them are by nets
        and memories that did not see them (all, or of very many some), and the peaks of the maps of these."""
        self._remember(head, images, torch.arange(len(images)), seed)
        places = head.grid**2 * (head.detector.n_maps + 1) * 4
        judged = torch.from_numpy(drawn(len(images), max(MIN_IMAGES, MAP_BYTES // places), seed + 1))
        learned, remembered, whole = [], [], []
        for part in torch.split(judged, self._at_once):
            measures = head.measure(self._seen(images[part]), part.to(self.device_))
            place = torch.arange(len(part))
            learned.append(measures.learned[fold[part], :, place].cpu())
            remembered.append(measures.remembered.cpu())
            whole.append(measures.whole.cpu())
        of_all = [torch.cat(each).to(self.device_) for each in (learned, remembered, whole)]
        abnormality, peaks = head.calibrate(of_all[0], of_all[1], of_all[2], fold[judged].to(self.device_))
        scores = np.empty(len(images))
        scores[judged.numpy()] = score_of(abnormality).cpu().numpy()
        rest = np.setdiff1d(np.arange(len(images)), judged.numpy())
        for more in torch.split(torch.from_numpy(rest), self._at_once) if len(rest) else ():
            scores[more.numpy()] = score_of(head(self._seen(images[more]), more.to(self.device_))[0]).cpu().numpy()
        return scores, judged.numpy(), peaks.cpu().numpy()

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

    def anomaly_score(self, X: Any) -> Floats:
        source = self._fitting(X)
        parts = [score for _, score, _ in self._scored(source, np.arange(len(source)))]
        return np.concatenate(parts) if parts else np.zeros(0)

    def explain(self, X: Any) -> list[npt.NDArray[np.float32]]:
        """A heat map [H, W] for each image in its own size, above 0; 1 is the pixel threshold."""
        return [found.heat for found in self.assess(X)]

    def assess(self, X: Any) -> Iterator[Assessed]:
        """Score, p-value, flag and heat map of each image, in order, each image read once."""
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
    def _at_once(self) -> int:
        return max(1, PIXELS_AT_ONCE // self.encoder_.layout.size**2)

    def _seen(self, images: Tensor) -> Tensor:
        return self.encoder_.scaled(images.to(self.device_))

    def _fitting(self, X: Any) -> Source:
        """X as images with the channels that the scorer knows, read by the white that it learned. Raises DataError."""
        check_is_fitted(self, "head_")
        source = _source(X)
        if len(source) and source.schema.channels != self.schema_.channels:
            problem = f"has images of {source.schema.channels} channels, the scorer knows {self.schema_.channels}"
            raise DataError(problem, where="X", remedy="read them with channels=" + str(self.schema_.channels))
        return source.with_white(self.schema_.white)

    def _scored(
        self, source: Source, chosen: npt.NDArray[np.int64], shapes: bool = False
    ) -> Iterator[tuple[list[tuple[int, tuple[int, int]]], npt.NDArray[np.float64], Tensor]]:
        """Some images at a time: the number and size of each, their scores [n] and maps [n, grid, grid]."""
        for part, sizes, images in _read(source, chosen, self._at_once, self.encoder_):
            with torch.no_grad():
                abnormality, maps = self.head_(self._seen(images))
            named = list(zip(part.tolist(), sizes, strict=True))
            yield named, score_of(abnormality).cpu().numpy(), maps

    def _resized(self, source: Source, chosen: npt.NDArray[np.int64]) -> Tensor:
        """The images in the encoder's size: [N, C, size, size] uint8."""
        return torch.cat([images for _, _, images in _read(source, chosen, 256, self.encoder_)])

    # -- keeping ---------------------------------------------------------------------------------------------------

    def _shape(self) -> dict[str, Any]:
        return {"encoder": self.encoder_.to_json()}

    def _weights(self) -> dict[str, Tensor]:
        weights = super()._weights()
        weights["head.places.keys"] = weights["head.places.keys"].half()  # large, and no more exact than that
        return weights

    def _values(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        found, tensors = super()._values()
        own = {
            "pixel_threshold": self.pixel_threshold_,
            "n_remembered": [len(memory.owner) for memory in self.head_.memories],
        }
        return found | own, tensors | {"examples": self.examples_}

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        scorer = cls._from_parameters(config)
        scorer.schema_ = ImageSchema.from_json(schema)
        scorer.encoder_ = ImageEncoder.from_json(config["encoder"])
        layout = scorer.encoder_.layout
        detector = cast(ImageDetector, detector_for(scorer, layout))
        scorer.head_ = ImageHead(layout, detector, scorer.features, config["n_remembered"])
        return scorer

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super()._restore(config, tensors)
        self.pixel_threshold_, self.examples_ = config["pixel_threshold"], tensors["examples"]

    def _facts(self) -> dict[str, Any]:
        return {
            "size": self.encoder_.layout.size,
            "fit": self.encoder_.framing,
            "features": self.features,
            "pixel_threshold": self.pixel_threshold_,
            **self.schema_.facts(),
            **super()._facts(),
        }


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
        self.schema = ImageSchema(n_channels, None, (), (), len(images), spread[0], spread[1], formats={})

    def __len__(self) -> int:
        return len(self._images)

    def read(self, index: int) -> Bytes:
        image = self._images[index]
        return image[:, :, None] if image.ndim == 2 else image

    def with_white(self, white: int | None) -> Self:  # these are bytes
        return self

    def fingerprint(self) -> str:
        return digest(*self._images)


def _source(X: Any) -> Source:
    """X as a source of images. Raises DataError when it is none."""
    if hasattr(X, "read") and hasattr(X, "schema"):
        return cast(Source, X)
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
    source: Source, chosen: npt.NDArray[np.int64], at_once: int, encoder: ImageEncoder
) -> Iterator[tuple[npt.NDArray[np.int64], list[tuple[int, int]], Tensor]]:
    """Some images at a time: their numbers, sizes (height, width) and pixels [n, C, size, size] uint8."""
    parts = [chosen[start : start + at_once] for start in range(0, len(chosen), at_once)]
    with ThreadPoolExecutor(READ_AHEAD) as pool:  # decoding goes on while nets compute
        waiting = deque(pool.submit(_decoded, source, part, encoder) for part in parts[:READ_AHEAD])
        for k, part in enumerate(parts):
            sizes, images = waiting.popleft().result()
            waiting.extend(pool.submit(_decoded, source, ahead, encoder) for ahead in parts[k + READ_AHEAD :][:1])
            yield part, sizes, images


def _decoded(source: Source, part: Iterable[int], encoder: ImageEncoder) -> tuple[list[tuple[int, int]], Tensor]:
    """Each image is brought to the encoder's size as it is read: no more than one is kept as it was."""
    sizes, resized = [], []
    for index in part:
        image = source.read(int(index))
        sizes.append((image.shape[0], image.shape[1]))
        resized.append(encoder.resized(torch.from_numpy(image).unsqueeze(0)))
    return sizes, torch.cat(resized)


def _explained_by_place(patches: Tensor) -> float:
    """The share of what patches [N, D, places] look like that their place explains, 0 to 1, mean over channels.

    Large where all images show the same thing at the same place.
    """
    places = patches.mean(0, keepdim=True)
    total = patches.var((0, 2)) + 1e-9
    chance = total / len(patches)  # of images that have nothing in common
    return float(((places.var(2).squeeze(0) - chance).clamp(min=0) / total).mean())
