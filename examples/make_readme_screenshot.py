"""Take the README's picture of a report.

    python examples/make_readme_screenshot.py demo-output/orders.html docs/images/report.png

Needs Chromium and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZE = {"width": 1080, "height": 760}


def main() -> None:
    """Open the report and take the picture of its top."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(args.report.resolve().as_uri())
        page.screenshot(path=args.picture)
        browser.close()
    print(f"{args.picture}: {args.picture.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
