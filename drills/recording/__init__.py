"""What a run writes down and how it is read again: events, requests, tables and the run directory."""
