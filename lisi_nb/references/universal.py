"""Teachers: universal machine-learned potentials and tight binding, as ASE calculators."""

from __future__ import annotations

from typing import Any

TBLITE_SETTINGS: dict[str, Any] = {"method": "GFN1-xTB", "electronic_temperature_K": 1160.0}


def sevennet(model: str) -> Any:
    """SevenNet; its weights come with the package."""
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(model, device="auto")


def tblite() -> Any:
    """GFN1-xTB of tblite."""
    from tblite.ase import TBLite

    s = TBLITE_SETTINGS
    return TBLite(method=s["method"], electronic_temperature=s["electronic_temperature_K"], verbosity=0)
