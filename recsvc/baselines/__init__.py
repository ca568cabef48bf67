"""Simple recommenders that a model is held against; one that does not beat them is not worth its machines."""

from recsvc.baselines.base import Baseline, Choice, Kind
from recsvc.baselines.ease import EaseKind
from recsvc.baselines.ials import IalsKind
from recsvc.baselines.popularity import PopularityKind

KINDS: tuple[Kind, ...] = (PopularityKind(), EaseKind(), IalsKind())

__all__ = ["KINDS", "Baseline", "Choice", "EaseKind", "IalsKind", "Kind", "PopularityKind"]
