"""The warm start: a process with Python and its modules loaded, whose forks are the supervisors and scripts of jobs."""
