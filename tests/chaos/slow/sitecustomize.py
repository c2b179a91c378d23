"""On PYTHONPATH, this makes the steps of every write wait, in all Python processes of a command; see `pipeline.py`."""

import os
import random
import time

_LONGEST = float(os.environ.get("CHAOS_SLOW", "0"))


def _waiting(step):
    def waiting(*args, **kwargs):
        time.sleep(random.uniform(0, _LONGEST))
        result = step(*args, **kwargs)
        time.sleep(random.uniform(0, _LONGEST))
        return result

    return waiting


if _LONGEST:
    for _name in ("replace", "rename", "fsync", "link"):
        setattr(os, _name, _waiting(getattr(os, _name)))
