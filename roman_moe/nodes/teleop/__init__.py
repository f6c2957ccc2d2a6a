"""An operator's side of the graph: demonstrations that are given through it."""
