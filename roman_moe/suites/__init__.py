"""Multi-task suites: many small tasks in one world, on which ways to share what is learned are compared."""
