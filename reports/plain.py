"""Text that GitHub-flavoured Markdown shows as it is.

Only what would mean something where it stands is escaped, so that the source reads well, too: a hyphen between words, a
figure's point and ``p99_ms@after`` stay as they are. A backslash does for what Markdown itself reads. Mentions, issue
numbers and mail addresses are looked for in the finished page, where no backslash is left: an invisible word joiner
takes them apart.
"""

from __future__ import annotations

import re

JOINER = "\u2060"
LARGEST_BYTES = 500_000
"""Half of what GitHub takes as the summary of one step of a job, which may have more to say."""
_ESCAPED = re.compile(r"([\\`*\[~|$])")
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_HASH = re.compile(r"(?<![^\s\\])#")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_FIRST = re.compile(r"^(?:(\d{1,9})(?=[.)](?:\s|$))|(?=[-+](?:\s|$)|-+$|=+$|>))")
_LINK = re.compile(r"\b(https?|ftp|mailto|xmpp):|\b(www)\.", re.IGNORECASE)
_MENTION = re.compile(r"(?<!\w)([@#!])(?=\w)")
_NAME = re.compile(r"[A-Za-z0-9][\w@./-]*")
_MAIL = re.compile(r"@(?=[\w.-]*\.)")


def escape(raw: str) -> str:
    """``raw`` on one line, for anywhere within a paragraph, a list item, a heading or a cell of a table.

    No link, image, mention, formatting, table cell, formula or HTML comes out of it.
    """
    said = _MAIL.sub(f"@{JOINER}", _MENTION.sub(rf"\1{JOINER}", " ".join(raw.split())))
    said = _ESCAPED.sub(r"\\\1", said)
    said = _ENTITY.sub("&amp;", said).replace("<", "&lt;")
    said = _HASH.sub(r"\\#", _UNDERSCORE.sub(r"\\_", said))
    said = _LINK.sub(lambda found: f"{found[1]}\\:" if found[1] else f"{found[2]}\\.", said)
    return _FIRST.sub(lambda found: f"{found[1]}\\" if found[1] else "\\", said)


def code(raw: str) -> str:
    """A name as code, which stands out among words; what could end that, or a table's cell, is escaped text instead."""
    return f"`{raw}`" if _NAME.fullmatch(raw) else escape(raw)


def fit(lines: list[str], most_bytes: int = LARGEST_BYTES) -> str:
    """The lines as a whole text that is no larger than that; what is cut off at the end is said."""
    size = 0
    for kept, line in enumerate(lines):
        size += len(line.encode()) + 1
        if size > most_bytes:
            return "\n".join([*lines[:kept], "", f"> ⚠️ {len(lines) - kept} more lines did not fit in here.", ""])
    return "\n".join(lines) + "\n"
