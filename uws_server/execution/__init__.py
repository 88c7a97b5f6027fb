"""How jobs run: the queue, the supervisor of each job, progress, and what becomes of the files a script leaves.

Imports storage, jobs, provenance and the configuration.
"""
