"""The sources that `datasets.<name>.download.source` can name: a module each, found by that name."""
