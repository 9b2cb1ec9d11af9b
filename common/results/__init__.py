"""Metrics, benchmark tables, plots and the report."""
