"""Weights of the peers in, the detector's results out."""
