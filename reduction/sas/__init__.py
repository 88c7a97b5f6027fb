"""The Science Analysis System of XMM-Newton, as shell scripts of jobs run it: its tasks, and what they need."""
