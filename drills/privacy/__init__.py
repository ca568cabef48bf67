"""What must not be written down: secrets and user ids are taken out of all that a run records; see docs/privacy.md.

looks.py     what looks like a secret, whoever's it is
finding.py   the secret values of a drill and of the environment
redactor.py  takes known values, and what looks like one, out of texts and documents
known.py     what this process, and those that it starts, know of them
copying.py   a drill file without them, line for line
sieve.py     what a process says, on its way into a log
vault.py     what healing needs of them, kept outside the run's directory until all is healed
"""

from drills.privacy.known import HIDDEN, learn, learn_drill, redacted
from drills.privacy.redactor import Redactor

__all__ = ["HIDDEN", "Redactor", "learn", "learn_drill", "redacted"]
