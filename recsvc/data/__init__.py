"""Interactions: where they come from, how they are cleaned, and what is held out of training.

`acquire` finds a data set (the user's cache first, then its source) and returns where it lies and what its hash is;
`read` turns it into arrays; `hold_out` splits those. What is stored has been cleaned and pseudonymised already.

Order: a user's interactions are sorted by timestamp, and ties keep the order of the source file. In MovieLens-100k many
ratings share a second, so another rule would give other test items.

A warm start finds a bundle by its recipe without reading any data, so nothing here imports numpy or pyarrow until data
are really read: they would cost it 0.1 s each.
"""

from recsvc.data.acquire import NAMES, RETRY_AFTER_S, Request, acquire
from recsvc.data.dataset import (
    MIN_EVALUATED,
    Acquired,
    Choice,
    Cleaning,
    DataError,
    Dataset,
    Message,
    Rules,
    Source,
    Split,
)
from recsvc.data.split import hold_out
from recsvc.data.storage import read, store

__all__ = [
    "MIN_EVALUATED",
    "NAMES",
    "RETRY_AFTER_S",
    "Acquired",
    "Choice",
    "Cleaning",
    "DataError",
    "Dataset",
    "Message",
    "Request",
    "Rules",
    "Source",
    "Split",
    "acquire",
    "hold_out",
    "read",
    "store",
]
