"""Images of event lists: counts in bands, exposure maps, smoothing, backgrounds, and the files that hold them."""
