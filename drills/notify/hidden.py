"""Texts without the secrets in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

SHORTEST = 4
"""Parts of an address with fewer characters are no secret, and words like ``at`` would go with them."""
SHOWN = "***"


def hide(text: str, addresses: Iterable[str]) -> str:
    """``text`` with every part of the addresses replaced, however it is written there; only the scheme stays."""
    parts = {part for address in addresses for part in _parts(address)}
    for part in sorted(parts, key=len, reverse=True):
        text = re.sub(re.escape(part), SHOWN, text, flags=re.IGNORECASE)
    return text


def _parts(address: str) -> set[str]:
    """The address without its scheme, and every run of letters and digits in it, as written and decoded."""
    rest = address.partition("://")[2] or address
    found = {address, rest, unquote(rest)}
    for form in (rest, unquote(rest)):
        found |= set(re.split(r"[^A-Za-z0-9]+", form)) | set(re.split(r"[/:@?&=]+", form))
    return {part for part in found if len(part) >= SHORTEST}
