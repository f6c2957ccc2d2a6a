"""Measurements behind `roman-moe bench`, one module a part, each with `measure`; may import all but the cli."""
