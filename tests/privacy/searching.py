"""Looks for planted words in every byte of a folder, however they may have been written."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

from pyarrow import parquet

from drills.recording.record import part_frames


def found_in(folder: Path, planted: Mapping[str, str]) -> list[str]:
    """``file: what`` for each planted word that a file below the folder, or its name, holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        f"{path.relative_to(folder)}: {name}"
        for path in files
        for name, word in planted.items()
        if any(holds(content, word) for content in [str(path.relative_to(folder)).encode(), *contents(path)])
    ]


def contents(path: Path) -> Iterator[bytes]:
    """A file as it is and, where it is written in a way of its own, as it is meant."""
    raw = path.read_bytes()
    yield raw
    if path.suffix == ".parquet":
        yield json.dumps(parquet.read_table(path).to_pylist(), ensure_ascii=False, default=str).encode()
    elif path.suffix == ".part":
        yield "\n".join(map(str, part_frames(path))).encode()
    else:
        text = raw.decode(errors="replace")
        yield unquote_plus(text).encode()
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text).encode(errors="replace")
        yield text.replace("\\", "").encode()
        yield b"\n".join(_unpacked(text))


def _unpacked(text: str) -> Iterator[bytes]:
    """What stands in base64, in a file or in a URL."""
    for run in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        plain = run.replace("-", "+").replace("_", "/")
        for begin in range(4):
            piece = plain[begin:]
            yield base64.b64decode(piece[: len(piece) // 4 * 4])


def holds(content: bytes, word: str) -> bool:
    """Whether the word is in there, in any case, as URLs, JSON or hex write it."""
    lower = content.lower()
    forms = {word, quote(word, safe=""), quote_plus(word), json.dumps(word)[1:-1], word.encode().hex()}
    return any(form.lower().encode() in lower for form in forms)
