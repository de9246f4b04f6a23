"""Generators of images from descriptions: noise, captions, columns, embeddings and, of models that have it, truncation
-> image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from gantools import registry
from gantools.config import check as check_option
from gantools.export.bases import FromNoise, OfImages
from gantools.export.columns import Port
from gantools.export.proof import SEED, Parity, Tolerance, batches, check_images

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from gantools.augment.described_synthesizer import DescribedSynthesizer
    from gantools.encode.descriptions import Descriptions
    from gantools.export.graph import Graph

TRIED = 64  # images that a proof makes
Vectors = npt.NDArray[np.float32]


@registry.exported("described-image-generator")
class ExportedDescribedGenerator(OfImages, FromNoise):
    """A generator of images from descriptions, from a file."""

    asked_by = "description"
    purpose = "Generates images of what is described."
    needed = ("noise", "image")
    refuses_unknown = True

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        from gantools.encode.descriptions import Descriptions

        self.descriptions_ = Descriptions.from_json(self.described["descriptions"])

    @classmethod
    def build(cls, maker: DescribedSynthesizer) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.export.modules import DescribedMaking, TruncatedDescribedMaking, example

        gan, layout, told = maker.gan_, maker.encoder_.layout, maker.descriptions_
        ports = _ports(told)
        truncated = {} if gan.truncation is None else {"truncation": np.array([gan.truncation], np.float32)}
        wanted = [*truncated, "noise", *(["embedding"] if told.width else []), "image"]
        names = compose.free_names(wanted, ports)
        n = compose.ROWS_TRACED
        given = [torch.from_numpy(value) for value in truncated.values()]
        given.append(torch.zeros(n, gan.noise_width))
        given += [example(port, told.n_words if port.name == told.caption else None) for port in ports]
        given += [torch.zeros(n, told.width)] if told.width else []
        inputs = [*(names[what] for what in truncated), names["noise"], *map(compose.traced_name, ports)]
        inputs += [names["embedding"]] if told.width else []
        making = TruncatedDescribedMaking if truncated else DescribedMaking
        module = making(gan, maker.encoder_, told).eval()
        proto = compose.traced(module, given, inputs, [names["image"]], fixed=len(truncated))
        for name, value in truncated.items():
            compose.set_default(proto, names[name], value)
        compose.add_levels(proto, [port for port in ports if port.name != told.caption], unknown=compose.UNKNOWN)
        if told.caption:
            compose.add_caption(proto, ports[0], told.codes, told.n_words)
        compose.take_rows(proto, names["noise"])
        rows = [names["noise"], *(port.name for port in ports), *([names["embedding"]] if told.width else [])]
        compose.count_rows(proto, rows)
        sizes: dict[str, tuple[Any, ...]] = {names["noise"]: (compose.BATCH, gan.noise_width)}
        sizes |= {names[name]: (1,) for name in truncated}
        sizes[names["image"]] = (compose.BATCH, layout.size, layout.size, layout.channels)
        if told.width:
            sizes[names["embedding"]] = (compose.BATCH, told.width)
        compose.name_sizes(proto, sizes)
        facts = {
            "schema": maker.schema_.to_json(),
            "noise_width": gan.noise_width,
            "encoder": maker.encoder_.to_json(),
            "descriptions": told.to_json(),
            **{name: float(value[0]) for name, value in truncated.items()},
        }
        return Graph(proto, cls.kind, tuple(ports), (), names, facts)

    def prove(self, maker: DescribedSynthesizer, allowed: Tolerance) -> Parity:
        """On descriptions that were learned from, and one of words that are not known, from the same noise."""
        frame, vectors = maker.descriptions_.drawn(TRIED, np.random.default_rng(SEED))
        if maker.descriptions_.caption:
            frame.loc[0, maker.descriptions_.caption] = "an Unheard-of  THING"
        if self.draws_noise:
            return {"images": len(self.sample(frame, vectors)[0]), "noise": "inside"}
        ours, theirs = [], []
        for rows in batches(TRIED):
            some = frame.iloc[rows].reset_index(drop=True), None if vectors is None else vectors[rows]
            ours.append(self.sample(*some, seed=SEED)[0])
            theirs.append(maker.sample(*some, seed=SEED)[0])
        return check_images(ours, theirs, allowed)

    @property
    def truncates(self) -> bool:
        """Whether images can be drawn towards the middle."""
        return "truncation" in self.names

    def sample(
        self,
        described: pd.DataFrame | int,
        vectors: Vectors | None = None,
        *,
        seed: int = 0,
        truncation: float | None = None,
    ) -> tuple[Tensor, pd.DataFrame]:
        """The images of `DescribedSynthesizer.sample` with the same arguments on a CPU. Imports torch for its noise.

        Raises ConfigError for a level that was not learned, vectors of another shape, or a negative number.
        """
        import torch

        from gantools.augment.latent import check_truncation, noise_of, seeds_of_run

        self.check_seed(seed)
        check_truncation(truncation, self.truncates)
        told = self.descriptions_
        if isinstance(described, int):
            described, vectors = told.drawn(described, np.random.default_rng(seed))
        told.vectors(described, vectors)  # says which level is not known
        n = len(described)
        shape = None if vectors is None else tuple(vectors.shape)
        check_option((shape or (n, 0)) == (n, told.width), "vectors", f"must be {n} rows of {told.width} numbers")
        feed: dict[str, Any] = {}
        for port in self.inputs:
            cells, is_text = described[port.name], port.type == "string"
            feed[port.name] = np.array(cells.astype(str), object) if is_text else cells.to_numpy(np.float32)
        if told.width:
            feed[self.names["embedding"]] = np.asarray(vectors, np.float32)
        if not self.draws_noise:
            feed[self.names["noise"]] = noise_of(seeds_of_run(seed, n), self.noise_width).numpy()
        if self.truncates:
            usual = self.described["truncation"] if truncation is None else truncation
            feed[self.names["truncation"]] = np.array([usual], np.float32)
        return torch.from_numpy(self.run(feed, [self.names["image"]])[0]).movedim(3, 1), described

    def levels(self, port: Port) -> Sequence[Any]:
        """As `Exported.levels`; of a caption some that were learned from."""
        return self.descriptions_.examples[port.name] if port.is_text else super().levels(port)

    def training_data(self) -> Iterable[str]:
        told = self.descriptions_
        if told.caption:
            yield f"captions of up to {told.n_words} words, {len(told.words):,} different ones"
        yield from super().training_data()

    def differences(self, parity: Mapping[str, Any]) -> str:
        return f"bytes differ by {parity['largest_byte']} at most"


def _ports(told: Descriptions) -> list[Port]:
    """The columns of a description as inputs, the caption first."""
    found = [Port(told.caption, "string", (), has_missing=False)] if told.caption else []
    found += [Port(name, "float32", has_missing=False) for name in told.numbers]
    found += [Port(name, "string", levels, has_missing=False) for name, levels in told.levels.items()]
    return found
