"""Runs the jobs: the queue, the supervisor of each job, its progress, and the registration of its products.

Imports storage, jobs, provenance and the configuration.
"""
