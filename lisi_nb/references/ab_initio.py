"""Ab initio engines as ASE calculators, each with its one choice of settings.

Energies are electronic free energies (what the forces derive from) where the engine tells them apart. A calculation
that is not self-consistent raises: GPAW and pw.x do so by themselves, CP2K's output is read. Files of CP2K and pw.x lie
in a temporary folder (``TMPDIR``) of each calculator's own, so that processes side by side share none.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import kpts2sizeandoffsets
from ase.calculators.cp2k import CP2K
from ase.calculators.espresso import Espresso, EspressoProfile
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


def _own_folder(engine: str) -> Path:
    """A new folder for an engine's files, removed when this process ends."""
    folder = tempfile.mkdtemp(prefix=f"{engine}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _last_words(output: str) -> str:
    return " ".join(output.split()[-30:]) or "it wrote no output"


class Cp2kWithMesh(CP2K):
    """CP2K in a folder of its own, whose k-point mesh follows the cell of each frame."""

    def __init__(self, **settings: Any) -> None:
        self.folder = _own_folder("cp2k")
        super().__init__(command=f"cd {shlex.quote(str(self.folder))} && exec cp2k_shell", **settings)

    def calculate(self, atoms=None, properties=None, system_changes=()) -> None:  # type: ignore[no-untyped-def]
        """Write the mesh of the present cell into the input of a new force environment, then let ASE go on.

        Raises
        ------
        RuntimeError
            CP2K ended, or did not reach self-consistency; the next frame begins anew.
        """
        mesh = " ".join(str(n) for n in kpoint_mesh(atoms))
        electronic_K = CP2K_SETTINGS["fermi_dirac_eV"] / kB
        self.parameters["inp"] = _CP2K_INPUT.format(
            mesh=mesh, electronic_K=electronic_K, eps_scf=CP2K_SETTINGS["eps_scf"]
        )
        if "cell" in system_changes and self._force_env_id is not None:
            self._release_force_env()
        try:
            super().calculate(atoms, properties, system_changes)
        except Exception as error:
            raise self._failed("CP2K ended") from error
        if self._last_scf() != "SCF run converged":
            raise self._failed("CP2K")

    def _failed(self, what: str) -> RuntimeError:
        """The error of this frame; results, density and program are dropped, so that nothing of it helps the next."""
        error = RuntimeError(f"{what}: {self._reason()}")
        self.reset()
        if self._shell is not None:
            self._shell.isready = False  # a program that has ended cannot be told to exit
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                self.close()
        (self.folder / "cp2k.out").unlink(missing_ok=True)
        return error

    def _output(self) -> str:
        file = self.folder / "cp2k.out"
        return file.read_text(errors="replace") if file.exists() else ""

    def _last_scf(self) -> str:
        return (re.findall(r"SCF run (?:NOT )?converged", self._output()) or [""])[-1]

    def _reason(self) -> str:
        if self._last_scf() == "SCF run NOT converged":
            return f"SCF run NOT converged in {self.parameters['max_scf']} steps"
        return _last_words(self._output())


def cp2k() -> Cp2kWithMesh:
    """CP2K through ``cp2k_shell``."""
    s = CP2K_SETTINGS
    return Cp2kWithMesh(
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


class EspressoWithMesh(Espresso):
    """``pw.x`` whose k-point mesh follows the cell of each frame; ASE's own density of k-points ends in IndexError."""

    def calculate(self, atoms: Any, properties: Any, system_changes: Any) -> None:
        """Set the mesh of the present cell, then let ASE go on; a failure raises ``RuntimeError`` in pw.x's words."""
        self.parameters["kpts"] = kpoint_mesh(atoms)
        try:
            super().calculate(atoms, properties, system_changes)
        except subprocess.CalledProcessError as error:
            output = (self.directory / self.template.outputname).read_text(errors="replace")
            reason = re.search(r"convergence NOT achieved.*", output)
            raise RuntimeError(f"pw.x: {reason[0] if reason else _last_words(output)}") from error


def _pseudopotentials() -> list[tuple[str, Path]]:
    """Element and file of each pseudopotential in ``ESPRESSO_PSEUDO``."""
    folder = os.environ.get("ESPRESSO_PSEUDO", "")
    files = sorted(Path(folder).resolve().glob("*.[uU][pP][fF]")) if folder else []
    return [(file.name.split(".")[0].split("_")[0].capitalize(), file) for file in files]


def pseudopotential_settings() -> dict[str, str]:
    """Name and hash of each pseudopotential, for the settings text: ``Si.upf`` may be of any library."""
    return {
        f"pseudo_{element}": f"{file.name}:{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}"
        for element, file in _pseudopotentials()
    }


def espresso() -> EspressoWithMesh:
    """Quantum ESPRESSO's ``pw.x`` with the pseudopotentials found in ``ESPRESSO_PSEUDO``."""
    s, found = ESPRESSO_SETTINGS, _pseudopotentials()
    files = {element: file.name for element, file in found}
    if len(files) < len(found) or not files:
        raise FileNotFoundError(
            f"ESPRESSO_PSEUDO={os.environ.get('ESPRESSO_PSEUDO', '')!r} holds "
            f"{', '.join(file.name for _, file in found) or 'no *.upf file'}. "
            "Set it to a folder with one pseudopotential per element."
        )
    return EspressoWithMesh(
        profile=EspressoProfile(command="pw.x", pseudo_dir=found[0][1].parent),
        directory=_own_folder("espresso"),
        pseudopotentials=files,
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
    )
