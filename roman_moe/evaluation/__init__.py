"""Episodes in process: controllers and oracles, evaluation, collection of demonstrations, statistics. No torch."""
