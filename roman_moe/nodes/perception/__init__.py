"""Nodes that turn images into object poses."""
