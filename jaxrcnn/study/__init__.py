"""Schemes side by side: what finished runs say, as records, plots and a report."""
