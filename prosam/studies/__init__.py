"""Studies of a trained run: what disturbs it, what else its prompts can be used for, and what it cannot know.

A study is a module with `rows(subject, settings)`, one row for each episode and condition; prosam/report scores them.
Studies touch neither the trained run nor the frozen list of episodes.
"""
