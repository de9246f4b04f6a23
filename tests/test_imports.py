"""The architecture, enforced: imports follow the flow, heavy libraries wait, every package is shipped."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "gantools"

# A part may import itself and the layers before its own; parts of one layer do not know each other.
LAYERS = (
    ("errors", "config", "registry", "address", "files", "stages", "words"),
    ("data",),
    ("encode",),
    ("nn", "losses"),
    ("models",),
    ("train",),
    ("augment", "classify", "score", "transform"),
    ("evaluate",),
    ("report",),
    ("export",),
    ("workflow",),
)
# The roots know one another: a configuration raises errors. The registry finds models by walking the package, by name.
FOUNDATION = set(LAYERS[0])
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
HEAVY = (
    "torch",
    "pandas",
    "sklearn",
    "imblearn",
    "scipy",
    "pyarrow",
    "lightning_fabric",
    "onnx",
    "onnxruntime",
    "rich",
)


def part_of(path: Path) -> str:
    """`gantools/data/table.py` -> `data`; `gantools/errors.py` -> `errors`; `gantools/__init__.py` -> ``."""
    first = path.relative_to(LIBRARY).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported_parts(path: Path) -> list[tuple[int, str]]:
    """(line, part of gantools) for every import that may run, those inside functions included."""
    package = ("gantools", *path.relative_to(LIBRARY).parent.parts)
    found: list[tuple[int, str]] = []
    for node in running(ast.parse(path.read_text(encoding="utf-8"))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                module = ".".join((*base, node.module) if node.module else base)
            else:
                module = node.module or ""
            # `from gantools import data` names the part in the list, `from gantools.data import x` in the module.
            modules = [f"gantools.{alias.name}" for alias in node.names] if module == "gantools" else [module]
        found += [(node.lineno, name.split(".")[1]) for name in modules if name.startswith("gantools.")]
        found += [(node.lineno, "gantools_cli") for name in modules if name.split(".")[0] in {"gantools_cli", "cli"}]
    return found


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below `node` except what stands under `if TYPE_CHECKING`, which never runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield from (other, *running(other))
            continue
        yield child
        yield from running(child)


SOURCES = sorted(path for path in LIBRARY.rglob("*.py") if part_of(path))


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_imports_follow_the_flow(path: Path) -> None:
    """A module imports only what stands before it, inside functions as well."""
    part = part_of(path)
    assert part in RANK, f"give {part!r} its place in LAYERS"
    wrong = [
        f"line {line}: {other}"
        for line, other in imported_parts(path)
        if other != part
        and not (part in FOUNDATION and other in FOUNDATION)
        and not (other in RANK and RANK[other] < RANK[part])
    ]
    assert not wrong, f"{path.relative_to(ROOT)} imports against the flow: {wrong}"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)


@pytest.mark.parametrize(
    "work",
    [
        "import gantools",
        "import gantools; dir(gantools); gantools.__version__",
        "import gantools_cli.main",
        *(
            f"from gantools_cli.main import main; main([*{arguments!r}, '--help'], standalone_mode=False)"
            for arguments in ([], ["augment"], ["score"], ["train"], ["generate"], ["export"], ["info"], ["models"])
        ),
    ],
)
def test_heavy_libraries_wait_until_needed(work: str) -> None:
    """Importing gantools or asking for help loads none of the heavy libraries."""
    done = run(f"{work}\nimport sys\nloaded = sorted(set({HEAVY!r}) & set(sys.modules))\nassert not loaded, loaded")
    assert done.returncode == 0, done.stderr


def test_help_is_quick() -> None:
    """The best of a few starts: the machine may be busy with other things."""
    best = min(timed_help() for _ in range(4))
    assert best < 0.3 + bare_start(), f"gantools --help takes {best:.2f} s"


def timed_help() -> float:
    started = time.perf_counter()
    done = run("from gantools_cli.main import main; main(['--help'])")
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - started


def bare_start() -> float:
    started = time.perf_counter()
    run("pass")
    return time.perf_counter() - started


def test_every_package_is_shipped() -> None:
    """The wheel holds what the tree holds: pyproject names each package once."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in LIBRARY.rglob("__init__.py")}
    assert sorted(listed) == sorted(there | {"gantools_cli"})


def test_cli_does_not_install_as_cli() -> None:
    """`cli` would collide with other distributions."""
    done = run("import sys; sys.path.remove(''); import importlib.util; print(importlib.util.find_spec('cli'))")
    assert done.stdout.strip() == "None", done.stdout + done.stderr
