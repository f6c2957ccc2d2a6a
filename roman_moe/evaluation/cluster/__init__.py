"""Workers beyond this process's own: a Ray cluster, or a Slurm queue.

Who has jobs calls `evaluation.pool.run_jobs` and does not know which it is. A worker checks that it has the same code
and files before its first job. A job that is lost with its worker is run again, one that raises is not.
"""
