"""Simulation of a task with a real arm's dynamics: worlds, episodes, Gymnasium environments. MuJoCo."""
