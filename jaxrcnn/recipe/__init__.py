"""A config for a folder of images that nobody has described: what the data decide."""
