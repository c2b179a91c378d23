"""The costs of the pipeline, estimated before it runs: bytes to download, disk space, and hours of compute."""

from prosam.plan.plan import Plan, make_plan
from prosam.plan.suites import plan_suite, suite_as_json, suite_as_text
from prosam.plan.text import plan_as_json, plan_as_text

__all__ = ["Plan", "make_plan", "plan_as_json", "plan_as_text", "plan_suite", "suite_as_json", "suite_as_text"]
