"""Small pictures of products: plots of spectra, images of the sky. Imports reduction, knows no HTTP and no job."""
