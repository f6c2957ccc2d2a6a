"""Nodes that see: from images to object poses."""
