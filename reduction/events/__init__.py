"""Photon lists: opened and read in chunks, their good times, what is selected of them, and a selection written."""
