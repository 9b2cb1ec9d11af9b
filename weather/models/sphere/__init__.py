"""Functions on the sphere: quadrature, Legendre functions, spherical harmonic transforms."""
