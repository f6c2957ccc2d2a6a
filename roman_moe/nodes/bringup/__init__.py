"""Describes, starts, supervises and watches the graph."""
