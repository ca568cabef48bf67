"""Who takes part: how each is installed, started and asked, and where its answer holds the ids."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NUMERICS = ("onnxruntime", "numpy")
K = 100
History = Sequence[int]


@dataclass(frozen=True)
class Rival:
    """Another server. ``command`` follows its environment's Python; ``files`` are written into its folder first."""

    name: str
    packages: tuple[str, ...]
    command: Callable[[int], Sequence[str]]
    path: str
    ask: Callable[[History], Any]
    ids: Callable[[Any], Sequence[str]]
    files: Callable[[int], dict[str, Any]] = lambda port: {}


def python(rival: Rival, root: Path, say: Callable[[str], None]) -> Path:
    """The interpreter of the rival's own environment under ``root``, which is made on first use and kept."""
    folder = root / rival.name
    interpreter, done = folder / "bin" / "python", folder / "installed.json"
    wanted = [*rival.packages, *NUMERICS]
    if not done.exists() or json.loads(done.read_text()) != wanted:
        say(f"installing {rival.name} ({', '.join(rival.packages)}); later runs find it")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*map(str, pip), *wanted], check=True)
        done.write_text(json.dumps(wanted))
    return interpreter


def versions(interpreter: Path, packages: Sequence[str]) -> dict[str, str]:
    """The installed versions of some packages."""
    names = [package.partition("[")[0] for package in packages]
    code = f"import json; from importlib.metadata import version as v; print(json.dumps({{n: v(n) for n in {names}}}))"
    return dict(json.loads(subprocess.run([interpreter, "-c", code], check=True, capture_output=True).stdout))


def _plain(history: History) -> Any:
    return {"history": list(history), "k": K}


def _v2(history: History) -> Any:
    tensor = {"name": "history", "shape": [1, len(history)], "datatype": "INT64", "data": list(history)}
    return {"inputs": [tensor]}


def _v2_ids(answer: Any) -> Sequence[str]:
    return [f"i{index}" for index in answer["outputs"][0]["data"]]


def _mlserver_files(port: int) -> dict[str, Any]:
    # No worker process beside the server: with one core it is a hop more for nothing.
    server = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "parallel_workers": 0}
    quiet = {"debug": False, "metrics_endpoint": None}
    batching = {"max_batch_size": 64, "max_batch_time": 0.001}
    model = {"name": "rank", "implementation": "mlserver_app.Rank", **batching}
    return {"settings.json": server | quiet, "model-settings.json": model}


FASTAPI = Rival(
    "fastapi",
    ("fastapi", "uvicorn[standard]", "orjson"),
    lambda port: (
        *("-m", "uvicorn", "fastapi_app:app", "--app-dir", str(HERE), "--port", str(port)),
        *("--no-access-log", "--log-level", "warning"),
    ),
    "/rank",
    _plain,
    lambda answer: answer["items"],
)
MOSEC = Rival(
    "mosec",
    ("mosec", "orjson"),
    lambda port: (str(HERE / "mosec_app.py"), "--port", str(port), "--log-level", "warning"),
    "/inference",
    _plain,
    lambda answer: answer["items"],
)
LITSERVE = Rival(
    "litserve",
    ("litserve",),
    lambda port: (str(HERE / "litserve_app.py"), str(port)),
    "/rank",
    _plain,
    lambda answer: answer["items"],
)
MLSERVER = Rival(
    "mlserver",
    ("mlserver",),
    lambda port: ("-c", "from mlserver.cli import main; main()", "start", "."),
    "/v2/models/rank/infer",
    _v2,
    _v2_ids,
    _mlserver_files,
)
BENTOML = Rival(
    "bentoml",
    ("bentoml",),
    lambda port: ("-m", "bentoml", "serve", "bentoml_app:Rank", "--working-dir", str(HERE), "--port", str(port)),
    "/rank",
    lambda history: {"histories": [list(history)]},
    lambda answer: answer[0]["items"],
)
RIVALS = (FASTAPI, MOSEC, MLSERVER, BENTOML, LITSERVE)
