"""Sources of data: published data sets and your own images, each read into `ImageRecord`s."""
