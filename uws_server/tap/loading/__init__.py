"""Tables that an operator loads for good: read in pieces, with their metadata, and removed again."""
