"""Every page in a real browser: charts draw, nothing is fetched, nothing runs, and everybody can read it.

Needs Chromium, `playwright` to drive it and axe-core to judge accessibility; skipped where one of them is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gantools.augment.balance import BalanceResult
from gantools.augment.balance_images import ImageBalance
from gantools.data.images.schema import ImageSchema
from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import infer_schema
from gantools.evaluate.image_evaluation import evaluate_images
from gantools.evaluate.image_quality import ImageQuality, Quality
from gantools.evaluate.pictures import PictureFigures, PicturesEvaluation
from gantools.evaluate.restoration import PerceptualDistance
from gantools.evaluate.scores import ScoreTally
from gantools.evaluate.table_evaluation import Sample, evaluate_table
from gantools.evaluate.table_fidelity import table_fidelity
from gantools.evaluate.verdict import Verdict
from gantools.nn.augment import Changes
from gantools.nn.features import NetFeatures
from gantools.report.balanced_images import Examples, Strip, balanced_images
from gantools.report.balanced_table import balanced_table
from gantools.report.evaluated_images import evaluated_images
from gantools.report.evaluated_pictures import Shown, evaluated_pictures
from gantools.report.evaluated_table import evaluated_table
from gantools.report.scored_images import scored_images
from gantools.report.scored_table import scored_table
from gantools.score.drift import DriftMonitor, Reference
from gantools.train.monitor import TrainingHistory

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_module = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
FACTS = (("gantools", "0"), ("data", "<i>x</i>"))
SECONDS_TO_OPEN = 2.0

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *FLAGS])
        yield opened
        opened.close()


@pytest.fixture
def frame(table: Callable[..., pd.DataFrame], nasty: str) -> pd.DataFrame:
    """A table with a name that would break out of HTML, and a very long one."""
    return table(400).rename(columns={"visits": nasty, "amount": "a_very_long_name_" * 6})


def balanced_table_page(frame: pd.DataFrame, nasty: str, verdict: Verdict, history: TrainingHistory) -> str:
    synthetic = frame[frame["churned"] == "yes"].sample(200, replace=True, random_state=0)
    whole = pd.concat([frame, synthetic], ignore_index=True)
    counts = (part["churned"].value_counts().to_dict() for part in (frame, whole))
    balance = BalanceResult(whole.assign(is_synthetic=np.arange(len(whole)) >= len(frame)), *counts, 3, 0, (nasty,))
    schema = infer_schema(frame, "churned")
    fidelity = table_fidelity(frame, synthetic, schema)
    return balanced_table(nasty, balance, schema, verdict=verdict, fidelity=fidelity, training=history, facts=FACTS)


def scored_table_page(frame: pd.DataFrame, nasty: str, history: TrainingHistory) -> str:
    rng = np.random.default_rng(1)
    marks = (rng.random(len(frame)) < 0.1).astype(float)
    scores = rng.lognormal(0, 0.6, len(frame)) + 3 * marks
    assessed = pd.DataFrame({"anomaly_score": scores, "p_value": rng.random(len(frame)), "is_anomaly": scores > 3})
    schema = infer_schema(frame)
    raw = to_raw(frame, schema)
    tally = ScoreTally()
    tally.update(frame, assessed, marks, raw.numbers[:, schema.numeric.index("when")])
    top = pd.concat([tally.top, assessed.loc[tally.top.index].assign(reason=f"amount {nasty}")], axis=1)
    monitor = DriftMonitor(Reference.fit(raw, schema))
    monitor.update(Raw(raw.numbers + 30, raw.codes), np.full(len(raw), 0.5))
    return scored_table(
        nasty, ["400 rows scored.", nasty], tally, top, schema, threshold=3.0, drift=monitor.report(),
        blamed={nasty: 4, "city": 2}, moment="when", training=history, facts=FACTS,
    )  # fmt: skip


def evaluated_table_page(frame: pd.DataFrame, nasty: str) -> str:
    schema = infer_schema(frame, "churned")
    synthetic = frame.sample(len(frame), replace=True, random_state=0).reset_index(drop=True)
    evaluation = evaluate_table(Sample.of(frame, schema), Sample.of(synthetic, schema))
    return evaluated_table(nasty, "Compared: so many.", evaluation, schema, notes=(nasty,), facts=FACTS)


def scored_images_page(nasty: str, history: TrainingHistory) -> str:
    names = [f"a/{nasty}{k}.png" for k in range(6)]
    scores = np.array([0.7, 0.8, 0.6, 0.9, 5.0, 4.0])
    frame = pd.DataFrame(
        {"file": names, "anomaly_score": scores, "p_value": 1 / (1 + scores), "is_anomaly": scores > 3}
    )
    tally = ScoreTally()
    tally.update(frame[["file"]], frame, (scores > 3).astype(float))
    top = frame.loc[tally.top.index].assign(reason=f"at 3,4 {nasty}")
    pictures = [np.full((40, 64, 3), 90, np.uint8)] * len(top)
    return scored_images(nasty, ["Scored."], tally, top, pictures, threshold=3.0, training=history, facts=FACTS)


def balanced_images_page(nasty: str, verdict: Verdict, history: TrainingHistory) -> str:
    made = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    changes = Changes.drawn(3, torch.Generator())
    balance = ImageBalance(
        made, torch.zeros(3, dtype=torch.int64), torch.tensor([True, True, False]), torch.arange(3), changes,
        {nasty: 4, "dog": 7}, {nasty: 7, "dog": 7}, {}, ("Few.",),
    )  # fmt: skip
    schema = ImageSchema(3, 255, (nasty, "dog"), (4, 7), 11, (16, 16, 16), (16, 16, 16), {"PNG": 11})
    quality = ImageQuality("a net", Quality(4, 4, fid=1.25), {nasty: Quality(4, 4)}, ())
    return balanced_images(
        nasty, balance, schema, verdict=verdict, training=history, quality=quality,
        examples=[Examples(nasty, made, made)], strips=[Strip(nasty, made)], facts=FACTS,
    )  # fmt: skip


def evaluated_images_page(nasty: str) -> str:
    random = torch.Generator().manual_seed(0)
    real, made = (torch.randint(0, 256, (24, 1, 16, 16), generator=random, dtype=torch.uint8) for _ in range(2))
    label = torch.arange(24) % 2
    features = NetFeatures("pixels", nn.Identity(), lambda x: x.flatten(1))
    evaluation = evaluate_images(real, label, made, label, (nasty, "dog"), features)
    return evaluated_images(
        nasty, "Compared: so many.", evaluation, [Examples(nasty, made[:8], real[:8])], notes=(nasty,), facts=FACTS
    )


def evaluated_pictures_page(nasty: str) -> str:
    rng = np.random.default_rng(0)
    truth = [rng.integers(0, 256, (60, 160, 3), dtype=np.uint8) for _ in range(4)]
    made = [np.clip(one.astype(int) + 5 * k, 0, 255).astype(np.uint8) for k, one in enumerate(truth)]
    pairs = list(zip(made, truth, strict=True))
    distance = PerceptualDistance(by_edges=True)
    figures = [PictureFigures.of(f"{nasty}{k}", one, true, distance) for k, (one, true) in enumerate(pairs)]
    evaluation = PicturesEvaluation.of(figures, figures, "edges")
    shown = [Shown(found, true, one, one) for found, (one, true) in zip(figures, pairs, strict=True)]
    return evaluated_pictures(nasty, evaluation, shown, notes=(nasty,), facts=FACTS)


PAGES = {
    "evaluated pictures": (evaluated_pictures_page, ("nasty",)),
    "balanced table": (balanced_table_page, ("frame", "nasty", "verdict", "history")),
    "scored table": (scored_table_page, ("frame", "nasty", "history")),
    "evaluated table": (evaluated_table_page, ("frame", "nasty")),
    "scored images": (scored_images_page, ("nasty", "history")),
    "balanced images": (balanced_images_page, ("nasty", "verdict", "history")),
    "evaluated images": (evaluated_images_page, ("nasty",)),
}


@pytest.mark.parametrize("kind", PAGES)
def test_everybody_can_read_it(kind: str, browser: Any, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    build, needed = PAGES[kind]
    path = tmp_path / "page.html"
    path.write_text(build(*(request.getfixturevalue(name) for name in needed)), encoding="utf-8")
    for theme, width in (("light", 1080), ("dark", 360)):
        page = browser.new_page(color_scheme=theme, viewport={"width": width, "height": 800})
        fetched: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda asked, fetched=fetched: fetched.append(asked.url))
        page.on("console", lambda message, wrong=wrong: wrong.append(message.text))
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.on("dialog", lambda dialog, wrong=wrong: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
        assert not wrong
        assert [url for url in fetched if not url.startswith("data:")] == [path.as_uri()]
        assert 0 < took < SECONDS_TO_OPEN
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        cut = page.evaluate(
            "[...document.querySelectorAll('.column .wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        )
        assert cut == 0, f"{cut} tables are cut within their cards at {width} pixels"
        for element in page.query_selector_all("svg, img"):
            box = element.bounding_box()
            assert box is not None and box["width"] > 20 and box["height"] > 10, element.evaluate("e => e.outerHTML")
        assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        found = axe_module.Axe().run(page).response["violations"]
        assert not found, [(one["id"], one["nodes"][0]["html"][:200]) for one in found]
        page.close()
