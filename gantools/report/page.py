"""What the HTML reports share: the page, its pieces, and the sections of every report on something balanced."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gantools.files import write_file

if TYPE_CHECKING:
    from gantools.augment.balance import BalanceResult
    from gantools.augment.balance_images import ImageBalance
    from gantools.evaluate.verdict import Verdict
    from gantools.train.monitor import TrainingReport

MAX_CLASSES = 50

FIGURES = {
    "average_precision": "average precision",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
}
STOPPED = {
    "finished": "ran to its end",
    "early": "stopped early, the {samples} no longer got better",
    "budget": "stopped when its time was up",
    "unhealthy": "stopped because it went wrong; the last good weights were kept",
    "interrupted": "was interrupted; the last good weights were kept",
}


def whole(title: str, sections: Iterable[str]) -> str:
    """The page. sections: HTML; empty ones are left out."""
    return _PAGE.format(title=text(title), style=_STYLE, body="\n".join(filter(None, sections)))


def write_html(page: str, path: Path) -> None:
    """Write a page whole or not at all. Raises DataError where it cannot be written."""
    with write_file(path) as file:
        file.write(page.encode())


# Sections -----------------------------------------------------------------------------------------------------------


def verdict_section(verdict: Verdict | None, methods: Mapping[str, str], judges: str, *, samples: str = "rows") -> str:
    """The figures of every method. methods: the words for each. judges: who judged, as the start of a sentence."""
    heading = f"<h2>Do the synthetic {samples} help?</h2>"
    if verdict is None:
        return f"{heading}\n<p>No verdict was reached: no real {samples} were held back.</p>"
    found = {method: figures for method, figures in verdict.scores.items() if figures is not None}
    best = {figure: max((figures[figure] for figures in found.values()), default=0.0) for figure in FIGURES}
    rows = []
    for method, figures in verdict.scores.items():
        cells = [text(methods.get(method, method))]
        for figure in FIGURES:
            if figures is None:
                cells.append('<span class="faint">not available</span>')
                continue
            value = figures[figure]
            shown = f"<b>{value:.3f}</b>" if value == best[figure] else f"{value:.3f}"
            cells.append(f"{bar(value)}{shown}")
        rows.append(cells)
    about = (
        f"{judges} trained on {verdict.n_train:,} real {samples}, balanced by each method, and judged on "
        f"{verdict.n_holdout:,} real {samples} that no method saw. Higher is better."
    )
    figures_of_all = table(["balanced by", *FIGURES.values()], rows, n_text=1) if rows else ""
    interval = _interval(verdict, methods)
    return f"{heading}\n<p>{about}</p>\n{figures_of_all}\n{interval}\n{notes(verdict.notes)}"


def _interval(verdict: Verdict, methods: Mapping[str, str]) -> str:
    if verdict.interval is None or verdict.difference is None:
        return ""
    low, high = verdict.interval
    rival = methods.get(verdict.best_alternative, verdict.best_alternative)
    return (
        '<p class="faint">The mean of average precision and balanced accuracy differs from that of the best '
        f"alternative, {text(rival)}, by {verdict.difference:+.3f} "
        f"(90 % interval {low:+.3f} to {high:+.3f}).</p>"
    )


def classes_section(balance: BalanceResult | ImageBalance) -> str:
    """The classes before and after."""
    largest = max([1, *balance.counts_after.values()])
    rows = []
    for label, after in list(balance.counts_after.items())[:MAX_CLASSES]:
        before = balance.counts_before.get(label, 0)
        real, made = 100 * before / largest, 100 * max(after - before, 0) / largest
        bars = f'<i style="width:{real:.1f}%"></i><i class="made" style="width:{made:.1f}%"></i>'
        rows.append(
            [text(label), f"{before:,}", f"{after - before:,}", f"{after:,}", f'<span class="stack">{bars}</span>']
        )
    counts = table(["class", "real", "synthetic", "after", ""], rows, n_text=1)
    more = len(balance.counts_after) - len(rows)
    rest = f"\n<p>{more:,} more classes are not shown.</p>" if more else ""
    return f"<h2>Classes</h2>\n{legend()}\n{counts}{rest}"


def training_section(training: TrainingReport | None, *, samples: str = "rows") -> str:
    """How the training went."""
    if training is None:
        return ""
    how = STOPPED.get(training.stopped, training.stopped).format(samples=samples)
    facts = f"Training {text(how)}: {training.steps:,} steps in {training.seconds:,.0f} s, weights of step "
    facts += f"{training.best_step:,}."
    if np.isfinite(training.criterion):
        held_out = "held-out " if samples == "rows" else ""
        facts += f" Distance of the synthetic {samples} from {held_out}real ones: {training.criterion:.4f} (0 is best)."
    health = notes(training.health) or "<p>Nothing went wrong that the monitor could see.</p>"
    return f"<h2>Training</h2>\n<p>{facts}</p>\n{health}"


# Pieces -------------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, n_text: int) -> str:
    """A table of ready HTML cells; the first n_text columns are text, the others numbers."""

    def line(tag: str, cells: Sequence[str]) -> str:
        written = (f"<{tag}{'' if i < n_text else ' class=n'}>{cell}</{tag}>" for i, cell in enumerate(cells))
        return f"<tr>{''.join(written)}</tr>"

    body = "".join(line("td", cells) for cells in rows)
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


def notes(sentences: Iterable[str]) -> str:
    """Sentences as a list, nothing where there are none."""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def legend() -> str:
    """What the colours of real and synthetic mean."""
    return '<p class="legend"><i></i> real <i class="made"></i> synthetic</p>'


def bar(share: float) -> str:
    """A bar that is filled to `share`."""
    return f'<span class="bar"><i style="width:{100 * min(max(share, 0), 1):.1f}%"></i></span>'


def text(value: object) -> str:
    """`value` as HTML spells it."""
    return html.escape(str(value), quote=True)


def cut(text: str, length: int = 40) -> str:
    """The text, or its beginning."""
    return text if len(text) <= length else text[: length - 1] + "…"


def data_uri(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """A picture [h, w, C], C 1 (grey), 3 or 4, as an address that holds it."""
    file = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 1080px; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .8rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; padding-top: .8rem; border-top: 1px solid #dfe4ea; }
h3 { font-size: .95rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
.verdict { padding: .7rem 1rem; border-left: 5px solid #8a94a0; background: #f3f5f7; font-weight: 600; }
.verdict.yes { border-color: #2b7a4b; background: #eef7f1; }
.verdict.no { border-color: #b23b3b; background: #fbf0f0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #eceff2; vertical-align: top; }
th { color: #5b6774; font-weight: 600; font-size: .85rem; white-space: nowrap; }
.reason { min-width: 24em; }
.n { text-align: right; white-space: nowrap; }
.faint { color: #5b6774; }
.bar, .stack, .pair { display: inline-block; vertical-align: middle; }
.bar { width: 90px; height: .6rem; background: #eceff2; margin-right: .6rem; text-align: left; }
.bar i { display: block; height: 100%; background: #7fa3c7; }
.stack { width: 260px; height: .8rem; text-align: left; white-space: nowrap; font-size: 0; }
.stack i { display: inline-block; height: .8rem; background: #aeb8c2; }
.pair { width: 110px; text-align: left; }
.pair i { display: block; height: .35rem; background: #aeb8c2; margin: 1px 0; }
i.made, .stack i.made, .pair i.made { background: #d1782f; }
.legend { color: #5b6774; font-size: .85rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; background: #aeb8c2; vertical-align: -1px; }
.legend i.made { background: #d1782f; margin-left: .8rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(440px, 1fr)); gap: 1rem; }
.column { border: 1px solid #dfe4ea; border-radius: 6px; padding: .7rem .9rem; font-size: .85rem; min-width: 0; }
.column img { max-width: 100%; image-rendering: pixelated; }
.near, .far { font-weight: 400; font-size: .8rem; color: #5b6774; margin-left: .4rem; }
.far { color: #b23b3b; font-weight: 600; }
svg { display: block; width: 100%; height: 70px; }
svg rect { fill: #c3cbd3; }
svg polyline { fill: none; stroke: #d1782f; stroke-width: 2; vector-effect: non-scaling-stroke; }
svg.scores { height: 170px; }
svg.scores rect.odd { fill: #d1782f; }
svg.scores line { stroke: #b23b3b; stroke-width: 2; vector-effect: non-scaling-stroke; }
.ends { display: flex; justify-content: space-between; color: #5b6774; font-size: .75rem; margin-bottom: .4rem; }
@media (max-width: 560px) { .grid { grid-template-columns: 1fr; } }
"""
