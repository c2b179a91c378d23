"""Where data come from: published data sets and one's own, each read into `ImageRecord`s."""
