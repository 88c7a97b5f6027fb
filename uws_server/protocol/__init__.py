"""The programs' door: UWS 1.1 over HTTP. Imports the services and the values."""
