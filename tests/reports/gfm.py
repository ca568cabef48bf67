"""Markdown as GitHub shows it: its own parser, and what of its page we would never have written."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

OURS = {"h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "code", "blockquote"}
# As GitHub and GitLab look for them in the finished page.
MENTION = re.compile(r"(?<![\w`])[@#!](?=\w)")


class Page(HTMLParser):
    """The text of a page, and the tags and mentions in it that are none of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.suspicious: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in OURS or any(name != "align" for name, _ in attrs):
            self.suspicious.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data
        self.suspicious += [data[found.start() : found.start() + 20] for found in MENTION.finditer(data)]


def page(markdown: str) -> Page:
    """The page that GitHub makes of it, no HTML left out, tables, links and all its other additions on."""
    shown = Page()
    shown.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE))
    return shown


def unexpected(markdown: str) -> list[str]:
    """What of the page none of our reports would have in it."""
    return page(markdown).suspicious
