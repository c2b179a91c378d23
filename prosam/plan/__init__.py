"""What the pipeline will cost, told before it is paid: bytes to fetch, room on the disk, and hours of compute."""

from prosam.plan.plan import Plan, make_plan
from prosam.plan.text import as_json, as_text

__all__ = ["Plan", "as_json", "as_text", "make_plan"]
