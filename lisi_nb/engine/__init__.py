"""Run LAMMPS: input text, run folders, worker, launch, devices, doctor."""
