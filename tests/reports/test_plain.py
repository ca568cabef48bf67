"""Text in Markdown: hostile text stays text, ordinary text stays readable in the source, too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports import cleaning, plain
from tests.reports import gfm

HOSTILE = [
    "[a](javascript:alert(1))",
    "![a](http://192.0.2.1/x.png)",
    "[a]: http://192.0.2.1 [a]",
    "[^1]: note [^1]",
    "<script>alert(1)</script>",
    "<!-- hidden -->",
    "<http://192.0.2.1>",
    "&lt;b&gt; &#60;i&#62; &copy;",
    "http://192.0.2.1/x https://u:p@host.example www.example.com ftp://x.example",
    "mail me@example.com mailto:me@example.com xmpp:me@example.com",
    "@all @octocat #12 !34 (@team/sub)",
    "**bold** __bold__ _it_ *it* ~~gone~~ ~gone~",
    "`code` ``code``",
    "a | b | c",
    "a \\| b \\\\| c \\",
    "# heading #",
    "1. one",
    "12) twelve",
    "- item",
    "+ item",
    "> quote",
    "---",
    "- - -",
    "===",
    "***",
    "```sh",
    "~~~",
    "    indented",
    "[ ] task",
    "$x$ and $`y`$",
    "line\nbreak\r\n\n# and more",
]
ORDINARY = [
    "2 of 5 objectives were missed: reads disturbed: 0.40 s (allowed at most 0.001 s).",
    "p99_ms@after was 12.3 ms, recall@20 0.29, i.e. -5 % (+0.2) - see run 20261122-013000-failover!",
    "failed: 41; primary/node-1 -> standby/node-2, 10.0.0.1:8080 = {up}; 100 % of 2,000",
]


def placed(raw: str) -> tuple[str, list[str]]:
    """Everywhere that reports put text, and the text of each of these places as it must be read."""
    said = plain.escape(raw)
    places = f"## {said}\n\n{said}\n\n- {said}\n\n> ⚠️ {said}\n\n| a | b |\n|---|---|\n| {said} | end |\n"
    shown = " ".join(raw.split())
    return places, [shown, shown, shown, f"⚠️ {shown}".strip(), "a", "b", shown, "end"]


@pytest.mark.parametrize("raw", HOSTILE + ORDINARY)
def test_text_is_shown_as_it_is_wherever_it_stands(raw: str) -> None:
    markdown, expected = placed(raw)
    shown = gfm.page(markdown)
    assert shown.suspicious == []
    lines = [line.strip() for line in shown.text.replace(plain.JOINER, "").splitlines() if line.strip()]
    assert lines == expected


@pytest.mark.parametrize("raw", HOSTILE + ORDINARY)
def test_another_parser_reads_nothing_into_it_either(raw: str) -> None:
    markdown, _ = placed(raw)
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    inline = [child.type for token in tokens for child in token.children or []]
    assert set(inline) <= {"text", "text_special"}
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert kinds <= {"heading", "paragraph", "inline", "bullet_list", "list_item", "blockquote"} | TABLE


TABLE = {"table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("raw", ORDINARY)
def test_ordinary_text_is_not_touched(raw: str) -> None:
    assert plain.escape(raw) == raw


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab1 @#!&<>|\\`*_~[](){}$:/.-+='\"\n", max_size=30))
def test_whatever_it_is_it_stays_text(raw: str) -> None:
    markdown, expected = placed(cleaning.text(raw))
    shown = gfm.page(markdown)
    assert shown.suspicious == []
    lines = [line.strip() for line in shown.text.replace(plain.JOINER, "").splitlines() if line.strip()]
    assert lines == [line for line in expected if line]


def test_a_name_is_code_only_where_it_cannot_end_that() -> None:
    assert plain.code("p99_ms@after") == "`p99_ms@after`"
    assert plain.code("a`b|c") == "a\\`b\\|c"


def test_a_summary_keeps_below_what_github_takes() -> None:
    text = plain.fit([f"- é{number:07}" for number in range(100_000)])
    assert len(text.encode()) < plain.LARGEST_BYTES + 200
    assert text.endswith("more lines did not fit in here.\n")
    assert plain.fit(["a", "b"]) == "a\nb\n"
