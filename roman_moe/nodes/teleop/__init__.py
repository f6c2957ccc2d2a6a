"""Nodes for an operator: driving, and recording of demonstrations."""
