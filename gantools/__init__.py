"""gantools: balance tables and images with conditional generators, and find what does not belong; imports are lazy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AnomalyScorer": "gantools.score.table_scorer",
    "DescribedSynthesizer": "gantools.augment.described_synthesizer",
    "GANOverSampler": "gantools.augment.sampler",
    "ImageScorer": "gantools.score.image_scorer",
    "ImageTranslator": "gantools.transform.translator",
    "ImageSynthesizer": "gantools.augment.image_synthesizer",
    "Synthesizer": "gantools.augment.synthesizer",
    "TableClassifier": "gantools.classify.table_classifier",
    "balance": "gantools.augment.balance",
    "recommend": "gantools.evaluate.recommendation",
    "export_model": "gantools.export.file",
    "load_exported": "gantools.export.runtime",
    "verdict": "gantools.evaluate.table_utility",
    "TrainConfig": "gantools.config",
    "Schema": "gantools.data.tables.schema",
    "Kind": "gantools.data.tables.schema",
    "load": "gantools.train.saved",
    "open_images": "gantools.data.images.source",
    "read_images": "gantools.encode.images",
    "read_pictures": "gantools.encode.pictures",
    "infer_schema": "gantools.data.tables.schema",
    "read_table": "gantools.data.tables",
    "write_table": "gantools.data.tables",
    "list_models": "gantools.registry",
    "register": "gantools.registry",
    "GantoolsError": "gantools.errors",
}
__all__ = ["__version__", *sorted(_HOMES)]

if TYPE_CHECKING:
    from gantools.augment.balance import balance
    from gantools.augment.described_synthesizer import DescribedSynthesizer
    from gantools.augment.image_synthesizer import ImageSynthesizer
    from gantools.augment.sampler import GANOverSampler
    from gantools.augment.synthesizer import Synthesizer
    from gantools.classify.table_classifier import TableClassifier
    from gantools.config import TrainConfig
    from gantools.data.images.source import open_images
    from gantools.data.tables import read_table, write_table
    from gantools.data.tables.schema import Kind, Schema, infer_schema
    from gantools.encode.images import read_images
    from gantools.encode.pictures import read_pictures
    from gantools.errors import GantoolsError
    from gantools.evaluate.recommendation import recommend
    from gantools.evaluate.table_utility import verdict
    from gantools.export.file import export_model
    from gantools.export.runtime import load_exported
    from gantools.registry import list_models, register
    from gantools.score.image_scorer import ImageScorer
    from gantools.score.table_scorer import AnomalyScorer
    from gantools.train.saved import load
    from gantools.transform.translator import ImageTranslator


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gantools' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
