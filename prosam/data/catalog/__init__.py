"""The sources that `datasets.<name>.download.source` can name: one module each, found by its name."""
