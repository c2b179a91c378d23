"""Strangers' files by the thousand, made by damaging good ones; `make fuzz` runs them, see `__main__.py`."""
