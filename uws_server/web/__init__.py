"""The people's door: pages from `templates/`. Imports the services and the values."""
