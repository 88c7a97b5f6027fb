"""Reduction of X-ray photon lists: event list in, OGIP products out. Knows nothing of the server."""
