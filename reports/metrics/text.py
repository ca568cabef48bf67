"""Samples as text, in the two formats that monitoring systems read."""

from __future__ import annotations

from collections.abc import Iterator

from reports.metrics.families import Families, Labels, Sample, stem, unit_of
from reports.metrics.names import HELP


def openmetrics(families: Families) -> str:
    """OpenMetrics 1.0: every sample with the moment when its run ended, the earlier ones of a series first."""
    lines: list[str] = []
    for family in families.names():
        info = family.endswith("_info")
        name, unit = family.removesuffix("_info"), unit_of(family)
        lines.append(f"# TYPE {name} {'info' if info else 'gauge'}")
        lines += [f"# UNIT {name} {unit}"] if unit else []
        lines.append(f"# HELP {name} {_escaped(HELP[stem(family)])}")
        for sample in _in_order(families.samples[family]):
            at = "" if sample.at_s is None else f" {sample.at_s:.3f}"
            lines.append(f"{family}{_labels(sample.labels)} {sample.value!r}{at}")
    return "\n".join([*lines, "# EOF"]) + "\n"


def prometheus(families: Families) -> str:
    """The text format 0.0.4, without times: node_exporter's textfile collector and Pushgateway refuse them."""
    latest = _latest(families)
    lines: list[str] = []
    for family in families.names():
        shown = [sample for sample in families.samples[family] if latest[sample.drill] == sample.run]
        lines += [f"# HELP {family} {_escaped(HELP[stem(family)])}", f"# TYPE {family} gauge"]
        lines += [f"{family}{_labels(sample.labels)} {sample.value!r}" for sample in _in_order(shown)]
    return "\n".join(lines) + "\n"


def _latest(families: Families) -> dict[str, str]:
    """The run that counts of each drill: the one that ended last."""
    ended = [(s.at_s or 0.0, s.run, s.drill) for samples in families.samples.values() for s in samples]
    return {drill: run for _, run, drill in sorted(ended)}


def _in_order(samples: list[Sample]) -> Iterator[Sample]:
    """Series by series, each by time; of two samples of a series at one moment the first stays."""
    before: tuple[Labels, float | None] | None = None
    first = {sample.labels: i for i, sample in reversed(list(enumerate(samples)))}
    for sample in sorted(samples, key=lambda s: (first[s.labels], s.at_s or 0.0)):
        if (sample.labels, sample.at_s) != before:
            yield sample
        before = (sample.labels, sample.at_s)


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
