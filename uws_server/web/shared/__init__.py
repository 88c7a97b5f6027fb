"""What the pages have in common: the frame, fields of forms, words, tokens against forgery, assets, documentation."""
