"""What every node stands on: life cycle, parameters, topics, wire, diagnostics, processes."""
