"""The job server: UWS 1.1 for programs, pages for people, and what runs the jobs."""
