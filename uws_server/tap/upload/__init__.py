"""Tables that come as files: read in pieces, whatever their format, for one query or for good."""
