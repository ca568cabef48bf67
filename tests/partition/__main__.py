"""Cut the network many times and print what came of every event: ``python -m tests.partition --cuts 20``."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.partition.split import KINDS, Found, deployed, repeat
from tests.recsvc.serving import tiny_bundle


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.partition", description=__doc__)
    parser.add_argument("--mode", choices=["async", "semisync", "sync"], default="semisync")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-s", type=float, default=2.5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recdr-split-") as name:
        folder = Path(name)
        with deployed(folder, tiny_bundle.write(folder / "bundle"), asked.mode) as split:
            found = repeat(split, asked.cuts, asked.seed, asked.held_s, lambda row: tell(json.dumps(row)))
    for kind in KINDS:
        tell(summed_up(kind, [each for each in found if each.kind == kind]))


COUNTS = ("acknowledged", "overlapping", "lost", "lost_besides", "alone")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def summed_up(kind: str, found: list[Found]) -> str:
    """A line a kind: counts are sums, times least, median and most."""
    counts = {name: sum(getattr(each, name) for each in found) for name in COUNTS}
    return f"{kind:9} {len(found):3} cuts {counts} " + " ".join(
        f"{name} {spread([value for each in found if (value := getattr(each, name)) is not None])}"
        for name in ("old_last_s", "new_first_s", "after_mend_s")
    )


def spread(values: list[float]) -> str:
    if not values:
        return "never"
    return f"{min(values):.2f}/{statistics.median(values):.2f}/{max(values):.2f} (n={len(values)})"


if __name__ == "__main__":
    main()
