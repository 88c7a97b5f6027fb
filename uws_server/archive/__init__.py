"""The observations: which event lists the archive holds, and the positions of objects by name."""
