"""The observations: which event lists there are. Imports storage and the region values."""
