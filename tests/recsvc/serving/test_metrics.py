from __future__ import annotations

from recsvc.metrics import Family, Histogram, info


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
    assert info("info", "Who.", {"node": 'a"b\\c\n'})[-1] == 'recsvc_info{node="a\\"b\\\\c\\n"} 1'


def test_a_family_says_what_it_is_and_keeps_every_digit() -> None:
    assert list(Family("offset_bytes", "gauge", "How far.", {"b": 0.5, "a": 12_345_678_901}, "who").lines()) == [
        "# HELP recsvc_offset_bytes How far.",
        "# TYPE recsvc_offset_bytes gauge",
        'recsvc_offset_bytes{who="a"} 12345678901',
        'recsvc_offset_bytes{who="b"} 0.5',
    ]
    assert list(Family("up", "gauge", "Up.", True).lines())[-1] == "recsvc_up 1"
