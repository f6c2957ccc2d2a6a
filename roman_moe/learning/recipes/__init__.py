"""Every number of a training, read from YAML and checked."""
