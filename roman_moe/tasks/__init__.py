"""Tasks that we ship: a folder each."""
