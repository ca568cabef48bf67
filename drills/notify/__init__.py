"""Telling people what came of a drill, in their chat, their mailbox, their webhook.

destinations.py  who is told, by which environment variables; hidden.py keeps their secrets out of all that is shown
happened.py      what there is to tell of a drill; message.py in which words
sending.py       a child process sends them, for 15 seconds at most; child.py is that process
log.py           what was sent, in the run's logs

Nothing here changes a verdict, an exit code or a healing: it comes after all of them.
"""
