"""Ab initio engines as ASE calculators, each with its one choice of settings.

Energies are electronic free energies (what the forces derive from) where the engine tells them apart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import kpts2sizeandoffsets
from ase.calculators.cp2k import CP2K
from ase.units import Rydberg, kB

KPT_DENSITY_A = 2.5  # k-points per reciprocal Angstrom; cells of 15.7 A and more get one along that edge
SMEARING_EV = 0.1

GPAW_SETTINGS: dict[str, Any] = {
    "xc": "PBE",
    "cutoff_eV": 350,
    "kpts_per_invA": KPT_DENSITY_A,
    "fermi_dirac_eV": SMEARING_EV,
    "density_convergence": 1e-4,
    "eigenstates_convergence_eV2": 1e-6,
    "max_scf_steps": 120,
}
CP2K_SETTINGS: dict[str, Any] = {
    "xc": "PBE",
    "cutoff_Ry": 300,
    "basis": "DZVP-MOLOPT-SR-GTH",
    "kpts_per_invA": KPT_DENSITY_A,
    "fermi_dirac_eV": SMEARING_EV,
    "eps_scf": 1e-6,
    "max_scf_steps": 120,
}
ESPRESSO_SETTINGS: dict[str, Any] = {
    "xc": "PBE",
    "cutoff_Ry": 40,
    "density_cutoff_Ry": 320,
    "kpts_per_invA": KPT_DENSITY_A,
    "fermi_dirac_eV": SMEARING_EV,
    "conv_thr_Ry": 1e-8,
}


def gpaw() -> Any:
    """GPAW with plane waves; the text output is dropped."""
    from gpaw import GPAW, PW, FermiDirac

    s = GPAW_SETTINGS
    return GPAW(
        mode=PW(s["cutoff_eV"]),
        xc=s["xc"],
        kpts={"density": s["kpts_per_invA"]},
        occupations=FermiDirac(s["fermi_dirac_eV"]),
        convergence={"density": s["density_convergence"], "eigenstates": s["eigenstates_convergence_eV2"]},
        maxiter=s["max_scf_steps"],
        txt=None,
    )


def kpoint_mesh(atoms: Any, density_A: float = KPT_DENSITY_A) -> tuple[int, int, int]:
    """Monkhorst-Pack mesh of at least `density_A` points per reciprocal Angstrom along each edge."""
    size, _ = kpts2sizeandoffsets(density=density_A, atoms=atoms)
    return tuple(int(n) for n in np.asarray(size))  # type: ignore[return-value]


class Cp2kWithMesh(CP2K):
    """CP2K whose k-point mesh follows the cell of each frame."""

    def calculate(self, atoms=None, properties=None, system_changes=()) -> None:  # type: ignore[no-untyped-def]
        """Write the mesh of the present cell into the input of a new force environment, then let ASE go on."""
        mesh = " ".join(str(n) for n in kpoint_mesh(atoms))
        electronic_K = CP2K_SETTINGS["fermi_dirac_eV"] / kB
        self.parameters["inp"] = _CP2K_INPUT.format(
            mesh=mesh, electronic_K=electronic_K, eps_scf=CP2K_SETTINGS["eps_scf"]
        )
        if "cell" in system_changes and self._force_env_id is not None:
            self._release_force_env()
        super().calculate(atoms, properties, system_changes)


def cp2k() -> Cp2kWithMesh:
    """CP2K through ``cp2k_shell``."""
    s = CP2K_SETTINGS
    return Cp2kWithMesh(
        command="cp2k_shell",
        xc=s["xc"],
        cutoff=s["cutoff_Ry"] * Rydberg,
        basis_set_file="BASIS_MOLOPT",
        basis_set=s["basis"],
        pseudo_potential="auto",
        max_scf=s["max_scf_steps"],
        stress_tensor=True,
        print_level="LOW",
    )


_CP2K_INPUT = """
&FORCE_EVAL
  &DFT
    &KPOINTS
      SCHEME MONKHORST-PACK {mesh}
    &END KPOINTS
    &SCF
      ADDED_MOS 40
      EPS_SCF {eps_scf:.1E}
      &SMEAR ON
        METHOD FERMI_DIRAC
        ELECTRONIC_TEMPERATURE [K] {electronic_K:.1f}
      &END SMEAR
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.2
      &END MIXING
    &END SCF
  &END DFT
&END FORCE_EVAL
"""


def espresso() -> Any:
    """Quantum ESPRESSO's ``pw.x`` with the pseudopotentials found in ``ESPRESSO_PSEUDO``."""
    from ase.calculators.espresso import Espresso, EspressoProfile

    s = ESPRESSO_SETTINGS
    folder = os.environ.get("ESPRESSO_PSEUDO", "")
    files = sorted(Path(folder).glob("*.[uU][pP][fF]")) if folder else []
    if not files:
        raise FileNotFoundError(
            f"ESPRESSO_PSEUDO={folder!r} holds no *.upf file. Set it to a folder with one pseudopotential per element."
        )
    return Espresso(
        profile=EspressoProfile(command="pw.x", pseudo_dir=folder),
        pseudopotentials={file.name.split(".")[0].split("_")[0].capitalize(): file.name for file in files},
        input_data={
            "system": {
                "ecutwfc": s["cutoff_Ry"],
                "ecutrho": s["density_cutoff_Ry"],
                "input_dft": s["xc"],
                "occupations": "smearing",
                "smearing": "fermi-dirac",
                "degauss": s["fermi_dirac_eV"] / Rydberg,
            },
            "electrons": {"conv_thr": s["conv_thr_Ry"]},
            "control": {"tprnfor": True, "tstress": True},
        },
        kpts={"density": s["kpts_per_invA"]},
    )
