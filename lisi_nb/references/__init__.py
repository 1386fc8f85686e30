"""Reference engines that label frames: one door, ``references.get(name).calculator()``.

Ab initio engines carry their settings with them: one choice of cutoff, k-points, smearing and convergence per engine,
written into every label, so that numbers of different settings cannot be mixed unnoticed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lisi_nb.errors import check_choice
from lisi_nb.references import ab_initio, universal


@dataclass(frozen=True)
class Reference:
    """An engine that returns energy, forces and stress of a periodic frame.

    Attributes
    ----------
    name, level_of_theory, install : str
        Its name, what its numbers mean, and how to get it.
    make : callable
        Returns the ASE calculator.
    packages, programs : tuple of str
        Python packages and programs it needs.
    settings : mapping
        What fixes its numbers; see `signature`.
    found : callable
        Returns more of them, those that this machine decides.
    cost_s : tuple of float
        (a, p) of the time of one label, ``a * n_atoms**p`` seconds on one slow CPU core.
    """

    name: str
    level_of_theory: str
    install: str
    make: Callable[[], Any]
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    found: Callable[[], Mapping[str, Any]] = dict
    cost_s: tuple[float, float] = (0.0, 1.0)

    def missing(self) -> list[str]:
        """What it needs and this machine lacks: Python packages and programs."""
        packages = [f"Python package {p!r}" for p in self.packages if importlib.util.find_spec(p) is None]
        return packages + [f"program {p!r}" for p in self.programs if shutil.which(p) is None]

    def available(self) -> bool:
        """Whether everything it needs is installed for this Python."""
        return not self.missing()

    def seconds(self, n_atoms: int) -> float:
        """Estimated time of one label on one slow CPU core."""
        a, p = self.cost_s
        return a * n_atoms**p

    def signature(self) -> str:
        """Name and settings in one line: equal for all labels of one data set."""
        settings = {**self.settings, **self.found()}
        return " ".join([self.name, *(f"{key}={value}" for key, value in settings.items())])

    def calculator(self) -> Any:
        """Return an ASE calculator (eV, eV/A, eV/A3), or raise ``ModuleNotFoundError`` with the remedy."""
        if missing := self.missing():
            raise ModuleNotFoundError(f"Reference {self.name!r} needs the {' and the '.join(missing)}. {self.install}")
        return self.make()


_IN_REFERENCE = "Run `make reference`, then use .venv-reference/bin/python."
_REFERENCES = {
    reference.name: reference
    for reference in (
        Reference(
            name="gpaw",
            level_of_theory="PBE, plane waves, PAW (GPAW; Li 2s, Si 3s3p valence)",
            install=_IN_REFERENCE,
            make=ab_initio.gpaw,
            packages=("gpaw",),
            settings=ab_initio.GPAW_SETTINGS,
            cost_s=(0.9, 1.1),
        ),
        Reference(
            name="cp2k",
            level_of_theory="PBE, Gaussians and plane waves, GTH pseudopotentials (CP2K; DZVP-MOLOPT-SR)",
            install="Debian and Ubuntu: `make system`, or apt-get install cp2k; elsewhere see cp2k.org.",
            make=ab_initio.cp2k,
            programs=("cp2k_shell",),
            settings=ab_initio.CP2K_SETTINGS,
            cost_s=(2.0, 1.2),
        ),
        Reference(
            name="espresso",
            level_of_theory="PBE, plane waves, the pseudopotentials in ESPRESSO_PSEUDO (Quantum ESPRESSO)",
            install="Debian and Ubuntu: apt-get install quantum-espresso. Set ESPRESSO_PSEUDO to a folder with one "
            "ELEMENT.upf for each element, e.g. of the SSSP library.",
            make=ab_initio.espresso,
            programs=("pw.x",),
            settings=ab_initio.ESPRESSO_SETTINGS,
            found=ab_initio.pseudopotential_settings,
            cost_s=(1.0, 1.3),
        ),
        Reference(
            name="7net-l3i5",
            level_of_theory="SevenNet-l3i5 universal potential (Materials Project PBE/PBE+U relaxations)",
            install=_IN_REFERENCE,
            make=lambda: universal.sevennet("7net-l3i5"),
            packages=("sevenn",),
            cost_s=(0.020, 1.0),
        ),
        Reference(
            name="7net-0",
            level_of_theory="SevenNet-0 (11Jul2024) universal potential (Materials Project PBE/PBE+U relaxations)",
            install=_IN_REFERENCE,
            make=lambda: universal.sevennet("7net-0"),
            packages=("sevenn",),
            cost_s=(0.010, 1.0),
        ),
        Reference(
            name="gfn1-xtb",
            level_of_theory="GFN1-xTB tight binding (tblite); for molecules, rough for metals",
            install=_IN_REFERENCE,
            make=universal.tblite,
            packages=("tblite",),
            settings=universal.TBLITE_SETTINGS,
            cost_s=(0.002, 1.8),
        ),
    )
}


def names() -> list[str]:
    """Names of the reference engines."""
    return list(_REFERENCES)


def get(name: str) -> Reference:
    """Return the reference engine `name`; an unknown name raises ``ValueError`` with the choices."""
    check_choice("reference", name, _REFERENCES)
    return _REFERENCES[name]


def tuned(name: str, weights: Path) -> Reference:
    """A teacher that was fine-tuned (`lisi_nb.training.tune`): the same engine with the weights of a file.

    Raises
    ------
    ValueError
        `name` is not one of SevenNet, which alone can be tuned.
    """
    check_choice("reference to tune", name, [r.name for r in _REFERENCES.values() if "sevenn" in r.packages])
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    return replace(
        get(name), name=f"{name}-tuned", make=lambda: universal.sevennet(str(weights)), settings={"weights": digest}
    )
