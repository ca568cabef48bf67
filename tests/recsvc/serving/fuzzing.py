"""Told to schemathesis by SCHEMATHESIS_HOOKS: what the document cannot say about bodies that it calls valid."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

ITEMS = 40


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """In valid bodies: whole numbers without a fraction, and items that exist in the tests' catalogue.

    JSON Schema counts 13.0 among the integers, and no schema can hold a catalogue. Both are refused with a 422, as
    tests of their own show.
    """
    del context, kwargs
    if case.meta.generation.mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
        body = {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in case.body.items()}
        if isinstance(item := body.get("item"), str):
            body["item"] = f"i{1 + len(item) % ITEMS}"
        case.body = body
