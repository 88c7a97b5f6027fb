"""The language of the search bar: a text becomes conditions on exposures, or what is wrong is told with its place."""
