"""Runs as traces: what is in them, and that a collector gets the same over protobuf as a file holds in JSON."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from reports import reading, spans
from tests.command import recdr
from tests.reports import fakerun

NS = 1_000_000_000
START_NS = 1795311000 * NS
"""2026-11-22T01:30:00Z, as fakerun's meta.json has it."""


@dataclass
class Collector:
    """A receiver of OTLP/HTTP: what came, decoded."""

    port: int = 0
    status: int = 200
    got: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    collector = Collector(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            assert self.path == "/v1/traces"
            collector.got.append(ExportTraceServiceRequest.FromString(body))
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("home") / "runs"
    return fakerun.write(runs / "20261122-013000-failover", trials=2, load=2, length_s=25, outcome="FAIL")


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "runs" / written.name)


def told(run: Path) -> dict[str, spans.Span]:
    """The spans of a run by their path of names."""
    trace = spans.trace(reading.read(run))
    names: dict[str, str] = {"": ""}
    found = {}
    for span in trace.spans:
        assert span.start_ns <= span.end_ns
        names[span.id] = f"{names[span.parent]}/{span.name}"
        found[names[span.id]] = span
    assert len(found) == len(trace.spans), "every span has an id and a path of its own"
    return found


def test_the_spans_and_their_times(run: Path) -> None:
    found = told(run)
    whole, trial = found["/drill failover.yaml"], found["/drill failover.yaml/Trial 2"]
    assert whole.start_ns == START_NS
    assert (whole.ok, whole.problem[:8]) == (False, "FAIL: 1 ")
    assert whole.attributes["recdr.outcome"] == "FAIL"
    assert whole.attributes["recdr.measure.rto_read_s"] == 0.4
    assert found["/drill failover.yaml/Trial 1"].ok is True
    assert (trial.ok, trial.attributes["test.case.result.status"]) == (False, "fail")
    begin_ns = START_NS + (5 + 25 + 10) * NS  # as fakerun places its second trial
    assert trial.start_ns == begin_ns
    fault = found["/drill failover.yaml/Trial 2/fault region_loss"]
    assert (fault.start_ns - begin_ns, fault.end_ns - begin_ns) == (8 * NS, 22 * NS)
    assert [moment.name for moment in fault.moments] == ["effect seen", "healing seen"]
    promoted = found["/drill failover.yaml/Trial 2/until: Store promoted"]
    assert (promoted.start_ns - begin_ns, promoted.end_ns - promoted.start_ns) == (8 * NS, round(0.72 * NS))
    assert (promoted.attributes["recdr.phase.bound_s"], promoted.attributes["recdr.phase.within_bound"]) == (1.1, True)
    slow = found["/drill failover.yaml/Trial 2/until: Reads back for good"]
    assert slow.attributes["recdr.phase.within_bound"] is False
    assert "Edge took a server out" in [moment.name for moment in trial.moments]


def test_a_fault_that_was_never_healed_lasts_until_the_end_and_says_so(run: Path) -> None:
    lines = (run / "events.jsonl").read_text().splitlines()
    (run / "events.jsonl").write_text("\n".join(line for line in lines if '"fault.healed"' not in line))
    fault = told(run)["/drill failover.yaml/Trial 1/fault region_loss"]
    assert (fault.ok, fault.problem) == (False, "it was never healed")
    assert fault.end_ns > fault.start_ns + 14 * NS


def test_what_was_not_observed_is_no_span_and_no_attribute(tmp_path: Path) -> None:
    run = fakerun.write(tmp_path / "run", outcome="UNKNOWN", load=2, length_s=25)
    found = told(run)
    whole = found["/drill failover.yaml"]
    assert (whole.ok, whole.attributes["error.type"]) == (False, "not_observed")
    assert "recdr.measure.rpo_events" not in whole.attributes
    assert not any("First good read" in path for path in found)


def test_the_same_run_has_the_same_ids_wherever_it_lies(run: Path, written: Path, tmp_path: Path) -> None:
    assert spans.to_json(spans.trace(reading.read(run))) == spans.to_json(spans.trace(reading.read(written)))
    other = json.loads((run / "verdict.json").read_text()) | {"run": "another"}
    (run / "verdict.json").write_text(json.dumps(other))
    ids = [{span.id for span in spans.trace(reading.read(path)).spans} for path in (run, written)]
    assert ids[0] & ids[1] == set()


def as_sent(text: str) -> ExportTraceServiceRequest:
    """OTLP's JSON as a message: its ids are hexadecimal, where protobuf's own JSON has base64."""
    document = json.loads(text)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    return json_format.ParseDict(document, ExportTraceServiceRequest())


def plain(request: ExportTraceServiceRequest) -> list[Any]:
    """What matters of a request: flags and empty fields are the library's own."""
    (of_resource,) = request.resource_spans
    (of_scope,) = of_resource.scope_spans
    resource = sorted((a.key, str(a.value)) for a in of_resource.resource.attributes)
    found: list[Any] = [resource, of_scope.scope.name, of_scope.scope.version]
    for span in of_scope.spans:
        span.ClearField("flags")
        span.attributes.sort(key=lambda a: a.key)
        for event in span.events:
            event.attributes.sort(key=lambda a: a.key)
        found.append(str(span))
    return found


def test_a_collector_gets_what_the_file_holds(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret")
    out = tmp_path / "trace.json"
    with collecting() as collector:
        address = f"http://127.0.0.1:{collector.port}"
        answer = recdr(tmp_path, "report", "spans", "--endpoint", address, "--out", str(out))
        assert answer.returncode == 0, answer.stderr
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        assert recdr(tmp_path, "report", "spans", run.name).returncode == 0
    first, second = collector.got
    assert plain(first) == plain(second) == plain(as_sent(out.read_text()))
    assert len(first.resource_spans[0].scope_spans[0].spans) > 10
    assert [headers["authorization"] for headers in collector.headers] == ["Bearer s3cret"] * 2
    printed = recdr(tmp_path, "report", "spans", "--out", "-")
    assert printed.stdout == out.read_text()


def test_a_collector_that_refuses_is_said(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret")
    with collecting(status=400) as collector:
        answer = recdr(tmp_path, "report", "spans", "--endpoint", f"http://127.0.0.1:{collector.port}")
    assert answer.returncode == 3
    assert "the collector did not take the spans" in answer.stderr
    assert "s3cret" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "where to?"),
        (["--endpoint", "localhost:4318"], "--endpoint: this is no address"),
        (["--endpoint", "http://me:s3cret@localhost"], "it holds a password"),
    ],
)
def test_what_cannot_be_sent_is_refused(run: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    answer = recdr(tmp_path, "report", "spans", run.name, *arguments)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "s3cret" not in answer.stderr


def test_a_run_without_a_time_is_refused(run: Path, tmp_path: Path) -> None:
    (run / "meta.json").write_text("{}")
    answer = recdr(tmp_path, "report", "spans", str(run), "--out", "-")
    assert answer.returncode == 2
    assert "does not say when it was" in answer.stderr
