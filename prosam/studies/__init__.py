"""Studies of a trained run: what disturbs it, what else its prompts can be used for, and what it cannot know.

Each study is a package of its own: `STUDY` declares its table, and `rows(subject, settings)` in rows.py yields a row
for each episode and condition. What the rows come to is computed by prosam/report. Studies change neither the trained
run nor the frozen list of episodes. How to add one: see declaration.py.
"""
