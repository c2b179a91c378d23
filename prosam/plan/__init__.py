"""What the pipeline will cost, told before it is paid: bytes to fetch, room on the disk, and hours of compute."""

from prosam.plan.plan import Plan, make_plan
from prosam.plan.text import plan_as_json, plan_as_text

__all__ = ["Plan", "make_plan", "plan_as_json", "plan_as_text"]
