"""Query-aware search: text relevance bent towards the user's taste. See docs/recommender.md, section Search."""

from __future__ import annotations

from recsvc.search.index import PERSONAL_WEIGHT, WHOLE_TITLE, Found, SearchIndex
from recsvc.search.words import words

__all__ = ["PERSONAL_WEIGHT", "WHOLE_TITLE", "Found", "SearchIndex", "words"]
