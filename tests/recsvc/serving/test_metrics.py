from __future__ import annotations

from recsvc.metrics import Histogram, Metrics


def test_histogram_cumulates_and_counts_beyond_the_last_bound() -> None:
    histogram = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 99):
        histogram.observe(value)
    assert list(histogram.lines("x")) == [
        'x_bucket{le="1"} 2',
        'x_bucket{le="2"} 3',
        'x_bucket{le="+Inf"} 4',
        "x_sum 102",
        "x_count 4",
    ]


def test_labels_are_escaped() -> None:
    text = Metrics().render({"up": True}, {"node": 'a"b\\c\n'}).decode()
    assert 'recsvc_info{node="a\\"b\\\\c\\n"} 1' in text
    assert "recsvc_up 1" in text
