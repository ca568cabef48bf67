"""How good a ranking is: leave-one-out, over the full catalogue, items the user has seen masked.

`measure` gives the few figures of a manifest, `full_report` everything, the baselines beside the model. Of
equal scores the lower catalogue index ranks first, which decides a good part of what popularity scores.
Numpy arrays in, plain numbers out: no torch.
"""

from recsvc.evaluation.figures import hit_ratio, ndcg, popularity, reciprocal_rank
from recsvc.evaluation.full import EvaluationError, full_report
from recsvc.evaluation.manifest import measure, report
from recsvc.evaluation.ranking import Ranking, Scorer, dot, rank, ranks

__all__ = [
    "EvaluationError",
    "Ranking",
    "Scorer",
    "dot",
    "full_report",
    "hit_ratio",
    "measure",
    "ndcg",
    "popularity",
    "rank",
    "ranks",
    "reciprocal_rank",
    "report",
]
