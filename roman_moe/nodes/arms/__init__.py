"""What moves: the simulated arm, the mock, the bridge to a robot; and where poses come from."""
