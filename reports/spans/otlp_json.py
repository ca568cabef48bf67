"""A trace as OTLP/JSON: what a collector's file receiver reads and what ``POST /v1/traces`` takes."""

from __future__ import annotations

import json
from typing import Any

from reports.spans.model import Attributes, Moment, Span, Trace, Value

INTERNAL = 1
OK, ERROR = 1, 2


def to_json(trace: Trace) -> str:
    """One line of JSON. Ids are hexadecimal and whole numbers of 64 bits are texts, as OTLP's JSON has them."""
    scope = {"name": "recdr", **({"version": trace.version} if trace.version else {})}
    spans = [_span(trace.id, span) for span in trace.spans]
    resource = {"attributes": _attributes(trace.resource)}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def _span(trace: str, span: Span) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": span.id,
        **({"parentSpanId": span.parent} if span.parent else {}),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        "events": [_event(moment) for moment in span.moments],
        "status": _status(span),
    }


def _status(span: Span) -> dict[str, Any]:
    if span.ok is None:
        return {}
    return {"code": OK} if span.ok else {"code": ERROR, "message": span.problem}


def _event(moment: Moment) -> dict[str, Any]:
    return {"timeUnixNano": str(moment.at_ns), "name": moment.name, "attributes": _attributes(moment.attributes)}


def _attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [_value(one) for one in value]}}
