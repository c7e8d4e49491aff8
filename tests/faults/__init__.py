"""Faults: what may go wrong, done to real processes under load; see `python -m tests.faults --help`."""
