"""Chains, sequences and alignments from the field's files, and the data sets with their splits."""
