"""The simulated laboratory: ROMAN's seven skills and scenarios with a real arm's dynamics. MuJoCo."""
