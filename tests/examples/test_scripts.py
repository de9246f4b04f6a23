"""The example scripts run, with nothing but the public names of gantools."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*_in_python.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_scripts_need_public_names_alone(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {name for name in modules if name.startswith("gantools")} == {"gantools"}


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_what_scripts_take_of_one_another_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        other = EXAMPLES / f"{node.module}.py" if isinstance(node, ast.ImportFrom) else script
        if isinstance(node, ast.ImportFrom) and other.is_file():
            there = {one.name for one in ast.parse(other.read_text(encoding="utf-8")).body if hasattr(one, "name")}
            assert {alias.name for alias in node.names} <= there, other.name


def test_an_image_generator_is_trained_in_python(tmp_path: Path) -> None:
    script = EXAMPLES / "generate_images_in_python.py"
    done = subprocess.run([sys.executable, script, "5"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 steps" in done.stdout and (tmp_path / "generated-digits" / "digits.png").stat().st_size > 0


def test_translators_are_trained_in_python(tmp_path: Path) -> None:
    script = EXAMPLES / "transform_in_python.py"
    done = subprocess.run([sys.executable, script, "2"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 steps") == 4
    assert sorted(path.stem for path in (tmp_path / "transformed-photos").iterdir()) == [
        "colour", "holes", "noise", "size",
    ]  # fmt: skip


def test_the_readme_s_pictures_are_made(tmp_path: Path) -> None:
    script = [sys.executable, EXAMPLES / "make_readme_pictures.py", tmp_path, "--steps", "2"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 steps") == done.stdout.count(" dB, made ") == 3
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["noise", "outlines", "size"]


def test_the_demo_s_orders_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    for name, more in (("orders", ()), ("checked", ("--mistakes",))):
        script = [sys.executable, EXAMPLES / "make_orders.py", tmp_path / f"{name}.csv", *more]
        subprocess.run(script, capture_output=True, check=True)
    orders, checked = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("orders", "checked"))
    fraud = orders[orders["is_fraud"] == "yes"]
    assert (len(orders), len(fraud), len(checked), checked["spoiled"].sum()) == (3_000, 75, 1_500, 20)
    assert orders.groupby("country")["currency"].nunique().eq(1).all()
    assert (fraud["amount"] / fraud["credit_left"]).between(0.84, 1.01).all()
    assert len(fraud[["category", "country"]].drop_duplicates()) == 3
    spoiled = checked[checked["spoiled"] == 1]
    assert (spoiled["items"] == 100).sum() == (spoiled["account_days"] < 0).sum() == 5


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_scripts_run(script: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
