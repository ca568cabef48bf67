"""The accelerator's own process: lost in every way there is, started again, and gone when nobody needs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import recsvc.accelerator.process as processes
from recsvc.accelerator import (
    MODEL,
    Accelerator,
    AcceleratorState,
    Arrays,
    Boundary,
    NotFailable,
    open_accelerator,
    sample_feeds,
)
from recsvc.accelerator.device import DeviceLost
from recsvc.accelerator.link import Late, Link
from recsvc.accelerator.process import ProcessDevice
from recsvc.accelerator.xid import XIDS, Reaction, classify
from tests.recsvc.serving.cluster import Cluster, alive, eventually

SAMPLE = sample_feeds(1, 1, 1)
REQUEST = sample_feeds(3, 50, 20)


@pytest.fixture
def boundary() -> Boundary:
    return Boundary()


@pytest.fixture
def accelerator(bundle: Path, boundary: Boundary) -> Iterator[Accelerator]:
    accelerator = open_accelerator("simulated", bundle / "model.onnx", 1, SAMPLE, boundary)
    accelerator.warm_up(REQUEST)
    yield accelerator
    accelerator.close()


def process_of(accelerator: Accelerator) -> int:
    device = accelerator._device
    assert isinstance(device, ProcessDevice)
    assert device.link is not None
    return device.link.pid


def is_ok(accelerator: Accelerator) -> Callable[[], bool]:
    return lambda: accelerator.state is AcceleratorState.OK


def test_the_process_answers_as_the_cpu_does(accelerator: Accelerator) -> None:
    ours, device = accelerator.run(REQUEST)
    assert device == "simulated"
    accelerator.fail("simulated")
    cpu, device = accelerator.run(REQUEST)
    assert device == "cpu"
    assert ours.keys() == cpu.keys()
    assert all(np.array_equal(ours[name], cpu[name]) and ours[name].dtype == cpu[name].dtype for name in cpu)


def test_arrays_larger_than_the_memory_have_room_made_for_them(accelerator: Accelerator) -> None:
    for rows in (1, 3_000, 2, 9_000):  # up to 7 MiB each way
        feeds = sample_feeds(rows, 50, 40)
        feeds["history"][:] = np.arange(rows)[:, None] % 40
        outputs, device = accelerator.run(feeds)
        assert device == "simulated"
        assert outputs["items"].shape == (rows, 40)
        assert np.array_equal(outputs["user"][: min(rows, 40)], accelerator.run(_first(feeds, 40))[0]["user"])


def _first(feeds: Arrays, rows: int) -> Arrays:
    return {name: values[:rows] if values.ndim == 2 else values for name, values in feeds.items()}


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGKILL, "signal 9"), (signal.SIGSEGV, "signal 11"), (signal.SIGSTOP, "not answered")],
    ids=["killed", "crashed", "hung"],
)
def test_a_lost_process_is_replaced_and_the_run_in_flight_answered(
    accelerator: Accelerator, number: int, reason: str
) -> None:
    before, expected = process_of(accelerator), accelerator.run(REQUEST)[0]
    os.kill(before, number)
    outputs, device = accelerator.run(REQUEST)
    assert np.array_equal(outputs["items"], expected["items"])
    assert (device, accelerator.degraded) == ("cpu", True)
    assert reason in (accelerator.reason or "") or "has ended" in (accelerator.reason or "")
    eventually(is_ok(accelerator))
    assert accelerator.run(REQUEST)[1] == "simulated"
    assert (accelerator.restarts, accelerator.reason) == (1, None)
    assert process_of(accelerator) != before
    assert not alive(before)


def test_the_end_of_an_idle_process_is_noticed_without_a_request(accelerator: Accelerator) -> None:
    os.kill(process_of(accelerator), signal.SIGKILL)
    eventually(lambda: accelerator.restarts == 1)
    eventually(is_ok(accelerator))


@pytest.mark.parametrize(
    ("warm_s", "deadline_s", "patience_s"),
    [(0.0, 1.0, 0.25), (0.04, 1.0, 0.4), (0.2, 1.0, 0.5), (0.2, 10.0, 2.0), (0.6, 1.0, 1.2)],
)
def test_a_hung_run_is_given_up_while_a_request_can_still_be_answered(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, warm_s: float, deadline_s: float, patience_s: float
) -> None:
    """On a clock of ours; the first warm-up is held up by another second, as on a machine that is busy just then."""
    now_s, held_up_s = [0.0], [1.0]

    def run(feeds: Arrays, graph: str, within_s: float) -> Arrays:
        now_s[0] += warm_s + held_up_s[0]
        return {}

    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    device = ProcessDevice("simulated", bundle / "model.onnx", 1, Boundary(), deadline_s)
    monkeypatch.setattr(device, "_run", run)
    device.warm_up(REQUEST)
    held_up_s[0] = 0.0
    device.warm_up(REQUEST)
    assert device.patience_s == pytest.approx(patience_s)


def test_no_try_is_wasted_on_a_process_that_ended_idle(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, run, lost = accelerator._device, accelerator._device.run, list[str]()

    def seen(feeds: Arrays, graph: str = MODEL) -> Arrays:
        try:
            return run(feeds, graph)
        except DeviceLost as error:
            lost.append(str(error))
            raise

    monkeypatch.setattr(device, "run", seen)
    os.kill(process_of(accelerator), signal.SIGKILL)
    eventually(lambda: accelerator.restarts == 1)
    eventually(is_ok(accelerator))
    assert lost == []


def test_a_process_that_cannot_be_started_leaves_no_descriptor(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", none_left)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            Link("simulated", {MODEL: bundle / "model.onnx"}, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_process_that_answers_late_is_tried_and_not_replaced(accelerator: Accelerator) -> None:
    process = process_of(accelerator)
    os.kill(process, signal.SIGSTOP)
    assert accelerator.run(REQUEST)[1] == "cpu"
    os.kill(process, signal.SIGCONT)
    eventually(is_ok(accelerator))
    assert (process_of(accelerator), accelerator.restarts) == (process, 0)


def test_a_process_that_owes_an_answer_is_not_asked_again_and_its_late_answer_is_nobody_elses(
    accelerator: Accelerator,
) -> None:
    device = accelerator._device
    assert isinstance(device, ProcessDevice)
    link = device.link
    assert link is not None
    os.kill(link.pid, signal.SIGSTOP)
    with pytest.raises(Late):
        link.run(SAMPLE, "model", failed=False, within_s=0.0)
    os.kill(link.pid, signal.SIGCONT)
    with pytest.raises(DeviceLost, match="owes"):
        link.run(REQUEST, "model", failed=False, within_s=10.0)
    link.waiting = False  # as a mistake of ours might have it
    with pytest.raises(DeviceLost, match="answered"):
        link.run(REQUEST, "model", failed=False, within_s=10.0)


def test_a_trap_that_answers_late_costs_the_process(accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child has no CUDA to break and says so, but late: as a driver does that hangs on it."""
    monkeypatch.setattr(processes, "TRAP_S", 0.05)
    device, before = accelerator._device, process_of(accelerator)
    assert isinstance(device, ProcessDevice)
    monkeypatch.setattr(device, "fail", lambda layer: device._trap())
    os.kill(before, signal.SIGSTOP)
    accelerator.fail("context")
    assert accelerator.degraded
    os.kill(before, signal.SIGCONT)
    eventually(is_ok(accelerator))
    for rows in (1, 2, 3):
        outputs, name = accelerator.run(sample_feeds(rows, 50, 20))
        assert (name, len(outputs["items"])) == ("simulated", rows)


def test_a_process_that_dies_at_every_start_stays_degraded_until_that_is_mended(accelerator: Accelerator) -> None:
    accelerator.fail("process")
    eventually(lambda: accelerator.restarts >= 2)
    assert accelerator.degraded
    assert accelerator.run(REQUEST)[1] == "cpu"
    accelerator.restore()
    eventually(is_ok(accelerator))


def test_failing_the_wrong_layer_is_refused(accelerator: Accelerator) -> None:
    with pytest.raises(NotFailable, match="simulated"):
        accelerator.fail("context")


def test_wrong_input_is_no_reason_to_give_the_accelerator_up(accelerator: Accelerator) -> None:
    with pytest.raises(ValueError, match="history"):
        accelerator.run({"seen": SAMPLE["seen"], "k": SAMPLE["k"]})
    assert accelerator.run(SAMPLE)[1] == "simulated"


def test_a_model_that_is_none_is_an_error_here_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model at all")
    before = threading.active_count()
    with pytest.raises(Exception, match=r"model\.onnx"):
        open_accelerator("simulated", tmp_path / "model.onnx", 1, SAMPLE)
    assert threading.active_count() == before


def test_closed_leaves_no_process_no_thread_and_no_descriptor(bundle: Path) -> None:
    open_accelerator("simulated", bundle / "model.onnx", 1, SAMPLE).close()  # what is imported or made once is by now
    threads, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        accelerator = open_accelerator("simulated", bundle / "model.onnx", 1, SAMPLE)
        process = process_of(accelerator)
        accelerator.close()
        accelerator.close()
        assert not alive(process)
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == (threads, descriptors)


def test_every_xid_that_is_known_has_its_reaction() -> None:
    reactions = {reaction: {x.number for x in XIDS.values() if x.reaction is reaction} for reaction in Reaction}
    assert reactions == {
        Reaction.CHECK: {13, 31, 43, 45, 74, 94},
        Reaction.RESET: {48, 62, 64, 95, 109, 119, 120, 140},
        Reaction.RESTART_MACHINE: {79},
        Reaction.NOTE: {63, 154},
    }
    assert classify(999).reaction is Reaction.CHECK


def test_another_applications_error_is_looked_into_and_changes_nothing(
    accelerator: Accelerator, boundary: Boundary
) -> None:
    process = process_of(accelerator)
    boundary.xids.seen(31)
    assert accelerator.run(REQUEST)[1] == "simulated"
    assert (process_of(accelerator), accelerator.restarts, accelerator.xids) == (process, 0, {31: 1})


def test_an_application_error_of_ours_has_the_process_replaced_before_a_request_meets_it(
    accelerator: Accelerator, boundary: Boundary
) -> None:
    boundary.failed = True  # as a context is after a page fault: every run fails from now on
    boundary.xids.seen(31)
    eventually(lambda: accelerator.degraded)
    assert "CUDA failure" in (accelerator.reason or "")
    boundary.failed = False
    eventually(is_ok(accelerator))


@pytest.mark.parametrize(("xid", "words"), [(95, "needs a reset"), (79, "restart the machine")])
def test_a_device_that_needs_a_reset_is_let_go_of_and_not_tried_until_somebody_says_so(
    accelerator: Accelerator, boundary: Boundary, xid: int, words: str
) -> None:
    process = process_of(accelerator)
    boundary.xids.seen(xid)
    assert accelerator.run(REQUEST)[1] == "cpu"
    assert words in (accelerator.reason or "")
    eventually(lambda: not alive(process))
    assert not threading.Event().wait(0.7)  # longer than the pauses after an ordinary loss
    assert (accelerator.state, accelerator.restarts) == (AcceleratorState.DEGRADED, 0)
    accelerator.restore()
    eventually(is_ok(accelerator))
    assert boundary.xids.held is None


def test_a_node_counts_xids_and_says_what_they_ask_for(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVML is a C library of ours: what has to be right is the ABI, which a module in Python would not show."""
    compiler = next((cc for cc in ("cc", "gcc", "clang") if shutil.which(cc)), None)
    if compiler is None or Path("/dev/nvidiactl").exists():
        pytest.skip("no C compiler, or a real NVML")
    source = Path(__file__).with_name("fake_nvml.c")
    command = [compiler, "-shared", "-fPIC", "-o", str(tmp_path / "libnvidia-ml.so.1"), str(source)]
    subprocess.run(command, check=True)
    os.mkfifo(tmp_path / "xids")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("FAKE_NVML_XIDS", str(tmp_path / "xids"))
    node = cluster.node("a/node-1", cluster.store("store"), replication="async", accelerator="cuda")
    with (tmp_path / "xids").open("wb", buffering=0) as xids:
        xids.write(bytes([63, 31, 63]))
        eventually(lambda: node.state()["xids"] == {"63": 2, "31": 1})
        assert "XID" not in node.state()["accelerator_reason"]
        xids.write(bytes([79]))
        eventually(lambda: node.http.get("/readyz").json()["xids"].get("79") == 1)
    assert "restart the machine" in node.http.get("/readyz").json()["accelerator_reason"]
    metrics = node.http.get("/metrics").text
    assert 'recsvc_xid_total{xid="79"} 1' in metrics
    assert 'recsvc_xid_total{xid="63"} 2' in metrics
