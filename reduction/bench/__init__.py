"""The bench: simulates an observation many times, runs the scripts of jobs on each, and holds what comes out against
what went in."""
