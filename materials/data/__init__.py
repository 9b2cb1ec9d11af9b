"""Crystals from files and tables, their graphs, and the data sets with their splits."""
