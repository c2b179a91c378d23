"""Rounds of damage, kills, full disks and disorder, drawn from a seed; `make chaos` runs them, see `__main__.py`."""
