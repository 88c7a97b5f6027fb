"""Queries as jobs: the definition that every server has, and what runs its jobs in the server itself."""
