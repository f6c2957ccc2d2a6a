"""Code that all nodes share: life cycle, parameters, topics, serialization, diagnostics, processes."""
