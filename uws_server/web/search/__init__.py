"""The page on which products are searched by place, time, energy and kind, and what can be done with those found."""
