"""The commands of `uws-server` that are more than a few lines: one module each, with `add`, which cli.py calls;
and what they have in common."""
