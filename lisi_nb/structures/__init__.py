"""Build structures as ``ase.Atoms``: crystals, packings, amorphous cells, interfaces."""
