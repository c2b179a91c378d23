"""Tests. Threads of torch sleep while they wait for one another: of several workers each has as many as cores."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported
