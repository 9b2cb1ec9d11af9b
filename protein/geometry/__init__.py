"""Rigid frames, superposition, torsions, all-atom placement and secondary structure: batched torch functions in Å."""
