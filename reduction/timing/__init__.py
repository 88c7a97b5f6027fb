"""When photons came: light curves, blocks of constant rate, periods, times at the barycentre, limits of rates."""
