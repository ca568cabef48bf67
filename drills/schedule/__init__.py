"""Files that let a CI system or a machine run drills at fixed times, each made from one template.

cron.py        when: a cron expression that means the same everywhere
calendars.py   the same for systemd
job.py         what is run, how long that may take, what it needs
files.py       templates/ filled in, each value quoted for the language it lands in
"""

from drills.schedule.cron import Cron
from drills.schedule.files import SYSTEMS, files
from drills.schedule.job import Job, Wanted, plan

__all__ = ["SYSTEMS", "Cron", "Job", "Wanted", "files", "plan"]
