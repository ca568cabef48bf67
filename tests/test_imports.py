"""Imports point one way, and what is imported where stays so."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Lower layers first; a module may import its own layer and those before it.
LAYERS = [
    {
        *("errors", "home", "jitter", "ranks", "recording", "privacy"),
        *("interruption", "processes", "undo", "open_runs", "naming", "surge", "holding", "printing"),
    },
    {"asking"},
    {"measures", "spec"},
    {"hooks"},
    {"targets", "faults"},
    {
        *("healing", "load", "sampling", "watch", "guard", "chaos", "experiment", "model"),
        *("outcome", "over_trials", "objectives", "verdict", "verdict_document"),
    },
    {"keeper", "watchdog", "rescue"},
    {"trial", "judging", "system"},
    {"baseline", "comparable", "compare", "history", "calibration"},
    {"engine"},
    {"suite", "planning"},
    {"schedule", "notify", "otlp", "printing"},
    {"cli"},
]


@cache
def imports(path: Path) -> set[str]:
    """The modules a file names in its import statements."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(module: str) -> str:
    """``drills.targets.base`` -> ``targets``."""
    return module.split(".")[1] if module.count(".") else ""


FILES = sorted(path for package in ("drills", "recsvc", "reports") for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "drills")], ids=name_of)
def test_drills_import_only_downwards(path: Path) -> None:
    own = path.relative_to(ROOT / "drills").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    upwards = {
        module
        for module in imports(path)
        if module.startswith("drills.") and part(module) in level and level[part(module)] > level[own]
    }
    assert upwards == set()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_drills_and_recsvc_meet_only_in_the_bundle(path: Path) -> None:
    inside = name_of(path).partition("/")[0]
    other = {"drills": "recsvc", "recsvc": "drills", "reports": "recsvc"}[inside]
    crossing = {module for module in imports(path) if module.split(".")[0] == other}
    assert {module for module in crossing if not module.startswith("recsvc.bundle")} == set()


def test_only_chaos_imports_chaoslib() -> None:
    assert {name_of(p) for p in FILES if any(m.startswith("chaoslib") for m in imports(p))} == {"drills/chaos.py"}


def test_only_the_local_target_knows_namespaces() -> None:
    knowing = {name_of(p) for p in FILES if "drills.targets.local.namespaces" in imports(p)}
    assert all(name.startswith("drills/targets/local/") for name in knowing)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("recsvc.server", ["torch"]),
        ("drills.targets.local.lab", ["torch", "numpy", "pyarrow"]),
        ("drills.cli.app", ["torch", "bokeh", "pyroute2", "apprise", "opentelemetry"]),
        ("drills.faults", ["torch", "bokeh", "pyroute2", "aiohttp", "numpy"]),
    ],
)
def test_what_takes_long_to_import_waits_until_it_is_needed(module: str, heavy: list[str]) -> None:
    """torch and bokeh take most of a second, and every command and every fault's process would pay it."""
    script = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_pid_one_of_a_lab_has_one_thread() -> None:
    """A process with threads may not enter a user namespace."""
    script = "import threading, drills.targets.local.lab; import os; print(len(os.listdir('/proc/self/task')))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"
