"""The pages of jobs: lists, a new one, a job with its results and provenance, running one again."""
