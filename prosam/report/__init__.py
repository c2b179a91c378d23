"""The report: what was measured, how sure it is, and what it looks like."""
