"""`recsvc.evaluation` under its first name, until training and building call it by the new one."""

from recsvc.evaluation import hit_ratio, measure, ndcg, popularity, ranks, reciprocal_rank, report

__all__ = ["hit_ratio", "measure", "ndcg", "popularity", "ranks", "reciprocal_rank", "report"]
