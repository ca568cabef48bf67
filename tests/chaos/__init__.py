"""A chaos test of recdr itself: drills whose own processes are killed and stopped at random moments.

``python -m tests.chaos --runs 60 --seed 1`` prints what it did to each run and what was left of it: nothing must be.
Each case follows from its seed alone (as far as a moment can be met again), so that one that failed can be repeated:
``--runs 1 --seed N``.
"""
