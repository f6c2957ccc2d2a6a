"""The test kit, for our tests and yours: saboteur, probe, stand-in for an arm, damaged models, made-up scenes."""
