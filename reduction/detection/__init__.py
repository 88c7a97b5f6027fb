"""Sources in X-ray images: sliding box, spline background, maximum likelihood fit of the point spread function."""
