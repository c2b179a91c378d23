"""Data on disk: images, label maps, run-length codes, VOC's layout, and the table that stages read."""
