"""What a search of the VO asks of a product: values of DALI, places on the sky, and whether a row fulfils them."""
