"""From demonstrations to a bundle: cloning, runs with checkpoints, ablations, shipping."""
