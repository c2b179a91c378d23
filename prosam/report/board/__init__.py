"""The leaderboard: one page over several report.json files and the published numbers."""
