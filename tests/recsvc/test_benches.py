"""The benches' own parts: what they report has to be right before it can be compared."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import bench_gpu, bench_serving, bench_users
from tests.load_generator import NUMBER, Generator, Outcome, Plan
from tests.serving_rivals import contenders


class Slow(BaseHTTPRequestHandler):
    """Answers after 20 ms, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[bytes]

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.02)
        self.send_response(503 if b"refuse" in self.asked[-1] else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        """No log."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Slow.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - the load hangs up when its time is over
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def load(server: ThreadingHTTPServer, folder: Path, body: object, **plan: float) -> Outcome:
    requests = folder / "requests"
    requests.write_text(json.dumps(["/", body]))
    made = Plan(server.server_port, str(requests), seconds=1.0, warm_s=0.2, **plan)  # type: ignore[arg-type]
    return asyncio.run(Generator(made).run())


def test_closed_loop_asks_again_when_it_is_answered(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    outcome = load(server, tmp_path, {"id": NUMBER}, connections=2)
    assert outcome.p50_ms >= 20
    # Two connections that each wait 20 ms are answered at most 100 times a second.
    assert 0 < outcome.rate <= 100
    assert outcome.statuses == {200: outcome.answered}
    assert len(set(Slow.asked)) == len(Slow.asked), "every request has a number of its own"


def test_open_loop_does_not_wait_for_answers(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    outcome = load(server, tmp_path, {"refuse": 1}, rate=200)
    # At 20 ms each, one connection alone could ask 50 times.
    assert outcome.answered > 100
    assert outcome.unanswered == 0
    assert set(outcome.statuses) == {503}


def test_ceiling_lies_between_its_neighbours() -> None:
    alone_s = {"1": 0.002, "2": 0.003, "4": 0.005, "8": 0.009, "16": 0.017, "32": 0.033}
    assert bench_serving._ceiling(alone_s, 1.0) == pytest.approx(1 / 0.002)
    assert bench_serving._ceiling(alone_s, 12.0) == pytest.approx(12 / 0.013)
    assert bench_serving._ceiling(alone_s, 32.0) == pytest.approx(32 / 0.033)


def test_each_rival_is_found_in_its_own_answer() -> None:
    answers = {
        "mlserver": {"outputs": [{"data": [7, 9]}]},
        "bentoml": [{"items": ["i7", "i9"]}],
    }
    for rival in contenders.RIVALS:
        assert list(rival.ids(answers.get(rival.name, {"items": ["i7", "i9"]}))) == ["i7", "i9"]
        assert "7" in json.dumps(rival.ask([7]))
    assert {rival.name for rival in contenders.RIVALS} < set(bench_serving.GOALS)


def test_the_mix_has_its_shares() -> None:
    drawn = list(bench_users.lines(bench_users.np.random.default_rng(0)))
    for path, share in {"/v1/recommend": 0.7, "/v1/search": 0.15, "/v1/events": 0.15}.items():
        assert sum(at == path for at, _ in drawn) / len(drawn) == pytest.approx(share, abs=0.02)
    users = [body["user"] for _, body in drawn]
    assert users.count("u0") > 1.5 * users.count("u1") > users.count("u3") > 0


@pytest.mark.skipif(bench_gpu.why_not() is None, reason="this machine has a GPU")
def test_gpu_bench_says_that_there_is_none(tmp_path: Path) -> None:
    written = tmp_path / "gpu.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench_gpu", "--json", str(written)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == bench_gpu.NO_GPU
    assert "nothing was measured" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads(written.read_text())["measured"] is False


def test_gpu_bench_times_the_graph_it_writes(tmp_path: Path) -> None:
    # On the CPU, because the graph and the timing are the same there and only the device is not.
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "graph.onnx"
    bench_gpu.write_graph(path, 2_000, "fp32")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    times = bench_gpu.timed(session, 2_000, 4, seconds=0.05)
    assert times
    assert all(taken_s > 0 for taken_s in times)
