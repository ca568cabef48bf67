"""Many drills as one: chosen, checked before the first one runs, run one after another, summed up.

choosing.py   names and tags in, drills out, or one error that names every bad file
grouping.py   which drills can share a lab
shared.py     a lab that drills use one after another: brought back in between, replaced where that fails
document.py   what came of each drill and of all together: suite.json
running.py    the suite from beginning to end
"""

from drills.suite.choosing import Chosen, check, choose, known_tags, options_of
from drills.suite.document import Entry, Suite
from drills.suite.grouping import Group, groups
from drills.suite.running import Watcher, run

__all__ = [
    "Chosen",
    "Entry",
    "Group",
    "Suite",
    "Watcher",
    "check",
    "choose",
    "groups",
    "known_tags",
    "options_of",
    "run",
]
