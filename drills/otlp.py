"""Hand a trace to a collector over OTLP/HTTP; the only importer of OpenTelemetry."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from drills.errors import RecdrError, UsageError
from drills.notify.hidden import hide
from reports.spans import Span, Trace

VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_PATH = "/v1/traces"


def endpoint(given: str | None) -> str | None:
    """Where traces go, of ``--endpoint`` or OpenTelemetry's own variables; None where neither says.

    Raises UsageError for an address that is none, or that holds a password.
    """
    if given is None:
        return next((os.environ[name] for name in VARIABLES if os.environ.get(name)), None)
    try:
        parts = urlsplit(given)
        right = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        right = False
    if not right:
        raise UsageError("--endpoint: this is no address; write it as http://HOST:4318")
    if parts.username or parts.password:
        raise UsageError("--endpoint: it holds a password, which others can read; use OTEL_EXPORTER_OTLP_HEADERS")
    return given if parts.path.endswith(_PATH) else given.rstrip("/") + _PATH


def send(trace: Trace, given: str | None) -> None:
    """Send the trace; ``given`` is ``--endpoint``, None for what the environment says.

    Headers, certificates, compression and the time limit are those of OpenTelemetry's own variables. Raises UsageError
    where the libraries are missing and RecdrError where the collector does not take it.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"spans are sent by OpenTelemetry's libraries: pip install 'recdr[otlp]' ({error})") from error
    spans = _spans(trace)
    with _heard() as said:
        exporter = OTLPSpanExporter(endpoint=endpoint(given) if given is not None else None)
        taken = exporter.export(spans) is SpanExportResult.SUCCESS
        exporter.shutdown()  # type: ignore[no-untyped-call]
    if not taken:
        secrets = [os.environ[name] for name in HEADERS if os.environ.get(name)]
        why = hide(said[0], secrets)[:300] if said else "it did not say why"
        raise RecdrError(f"the collector did not take the spans: {why}")


def _spans(trace: Trace) -> Sequence[Any]:
    """The trace's spans as the library's own, with our ids and times."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import IdGenerator  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415

    class Ours(IdGenerator):
        ids = iter([span.id for span in trace.spans])

        def generate_span_id(self) -> int:
            return int(next(self.ids), 16)

        def generate_trace_id(self) -> int:
            return int(trace.id, 16)

    whole = SpanLimits(*[SpanLimits.UNSET] * 8)
    provider = TracerProvider(
        ALWAYS_ON,
        Resource(trace.resource),
        shutdown_on_exit=False,
        id_generator=Ours(),
        span_limits=whole,
    )
    ended = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(ended))
    tracer = provider.get_tracer("recdr", trace.version or None)
    for span in trace.spans:
        _tell(tracer, trace, span)
    return ended.get_finished_spans()


def _tell(tracer: Any, trace: Trace, span: Span) -> None:
    from opentelemetry.trace import (  # noqa: PLC0415
        NonRecordingSpan,
        SpanContext,
        Status,
        StatusCode,
        TraceFlags,
        set_span_in_context,
    )

    above = None
    if span.parent:
        parent = SpanContext(int(trace.id, 16), int(span.parent, 16), is_remote=False, trace_flags=TraceFlags(1))
        above = set_span_in_context(NonRecordingSpan(parent))
    told = tracer.start_span(span.name, context=above, start_time=span.start_ns, attributes=span.attributes)
    for moment in span.moments:
        told.add_event(moment.name, moment.attributes, timestamp=moment.at_ns)
    if span.ok is not None:
        told.set_status(Status(StatusCode.OK) if span.ok else Status(StatusCode.ERROR, span.problem))
    told.end(end_time=span.end_ns)


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(" ".join(record.getMessage().split()))


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the library complains of, which would else go to stderr in its own words."""
    logger, complaints = logging.getLogger("opentelemetry"), _Complaints()
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(complaints)
    try:
        yield complaints.said
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagated
