"""What ``recdr model`` runs, each command a module and a process of its own.

On stdout one JSON document in one line; on stderr progress, one JSON object a line ``{"stage", "done", "total",
"message"}`` or, for people, bars (``--progress bar``). Exit code 0; 2 where something cannot be used or had, with the
reason in a line of stage ``error``; 130 when interrupted.
"""
