"""Exchange with annotation tools: references are read from their files, and results are written in their formats."""
