"""The directions of the design, enforced: who may import whom, and what an import may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = {"collect", "feature", "training", "evaluation", "inference", "registry"}
FOUNDATION = {"errors", "contracts", "config", "workspace"}
# For each part of the package, the parts that it may import (itself always).
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "contracts": {"errors"},
    "config": {"errors"},
    "workspace": {"errors"},
    **dict.fromkeys(ROOMS, FOUNDATION),
    "adapters": {"errors", "contracts"},
    "sample": {"errors"},
    "compose": FOUNDATION | ROOMS | {"adapters", "sample"},
    "api": FOUNDATION | {"compose", *ROOMS},
    "cli": FOUNDATION | {"compose", "api", "__version__"},
    "__init__": {"api"},
}
MAX_LINES = 400


def modules(root: Path) -> list[Path]:
    return sorted((root / "llm_twin").rglob("*.py"))


def part(path: Path, root: Path) -> str:
    first = path.relative_to(root / "llm_twin").parts[0]
    return first.removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """The parts of llm_twin that a module imports at run time; type-checking imports are of no weight."""
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    unseen = {id(node) for guard in guards for child in guard.body for node in ast.walk(child)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "llm_twin":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llm_twin."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("llm_twin.")}
    return found


def test_rooms_import_only_what_the_design_allows(root: Path) -> None:
    wrong = []
    for path in modules(root):
        here = part(path, root)
        for other in imports(ast.parse(path.read_text(encoding="utf-8"))) - {here} - ALLOWED[here]:
            wrong.append(f"{path.relative_to(root)} imports llm_twin.{other}")
    assert wrong == []


def test_no_relative_imports(root: Path) -> None:
    nodes = ((p, n) for p in modules(root) for n in ast.walk(ast.parse(p.read_text(encoding="utf-8"))))
    assert [str(p) for p, n in nodes if isinstance(n, ast.ImportFrom) and n.level] == []


def test_no_module_grows_past_the_cap(root: Path) -> None:
    sizes = {str(p.relative_to(root)): len(p.read_text(encoding="utf-8").splitlines()) for p in modules(root)}
    assert {p: n for p, n in sizes.items() if n > MAX_LINES} == {}


def test_pipeline_scripts_stay_thin(root: Path) -> None:
    scripts = sorted((root / "pipelines").glob("*.py"))
    assert [s.name for s in scripts] == [
        "feature_pipeline.py",
        "inference_pipeline.py",
        "training_pipeline.py",
    ]
    assert all(len(s.read_text(encoding="utf-8").splitlines()) <= 60 for s in scripts)


HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "qdrant_edge",
    "xllamacpp",
    "trafilatura",
    "fastapi",
}


@pytest.mark.parametrize("statement", ["import llm_twin", "import llm_twin.api", "import llm_twin.cli.app"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert HEAVY.isdisjoint(loaded), HEAVY & set(loaded)


def test_help_loads_neither_configuration_nor_numbers() -> None:
    code = "import sys; import llm_twin.cli.app; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"pydantic", "yaml", "numpy"}.isdisjoint(loaded), "llm-twin --help must answer at once"
