"""The common parts of the pages: frame, fields of forms, texts, tokens against forgery, assets, documentation."""
