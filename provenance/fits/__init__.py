"""FITS files byte for byte: where their HDUs lie, what headers and tables say, gzip, hashes, whole-file writes."""
