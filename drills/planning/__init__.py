"""What a drill would do, to what and for how long, told without doing any of it.

steps.py    the method by the clock, with the faults that are in force meanwhile
hidden.py   what of a drill must not be shown: values from the environment, headers, passwords in commands
plan.py     all of it as one document
"""

from drills.planning.plan import Plan, plan

__all__ = ["Plan", "plan"]
