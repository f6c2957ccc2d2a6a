"""What a run leaves for people: plots, a video, live progress. Drawn from recorded values, never while control runs."""
