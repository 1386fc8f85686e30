"""Commands about the installation and whole studies."""

from __future__ import annotations

import argparse

from lisi_nb import references, reproduce, tables
from lisi_nb.commands.common import Answer, get_study, say
from lisi_nb.engine import doctor
from lisi_nb.errors import check_choice
from lisi_nb.paths import PROJECT
from lisi_nb.units import duration

N_ATOMS = 32  # of the frame whose cost is told
REFERENCE_PACKAGES = ".venv-reference/lib/python3*/site-packages"


def command_doctor(_: argparse.Namespace) -> Answer:
    """``lisi-nb doctor``: one real step of every engine."""
    checks = doctor.examine()
    say(str(tables.health(checks)))
    return (0 if all(c.ok for c in checks if c.needed) else 1), [vars(c) for c in checks]


def command_references(_: argparse.Namespace) -> Answer:
    """``lisi-nb references``: the engines that label frames: what they mean, what they cost, how to get them."""
    engines = [references.get(name) for name in references.names()]
    rows = []
    for engine in engines:
        missing, cost_s = engine.missing(), engine.seconds(N_ATOMS)
        beside = [path for package in engine.packages for path in PROJECT.glob(f"{REFERENCE_PACKAGES}/{package}")]
        how = "installed for this Python"
        if missing:
            how = "installed in .venv-reference" if beside else f"lacks {', '.join(missing)}: {engine.install}"
        rows.append((engine.name, engine.level_of_theory, duration(cost_s) if cost_s >= 1 else "below 1 s", how))
    say(str(tables.Table(("reference", "level of theory", f"{N_ATOMS} atoms, one core", "here"), tuple(rows))))
    answer = [{"name": e.name, "level_of_theory": e.level_of_theory, "missing": e.missing()} for e in engines]
    return 0, answer


def command_reproduce(options: argparse.Namespace) -> Answer:
    """``lisi-nb reproduce``: a whole study: all variants, a table beside the paper, figures, the notebook."""
    if options.seeds < 1:
        raise ValueError(
            f"--seeds={options.seeds} is not allowed. Give 1 or more; 3 or more for error bars over seeds."
        )
    study = get_study(options.study)
    check_choice("scale", options.scale, study.SCALES)
    return 0, reproduce.reproduce(study, options.scale, options.seeds, options.device, say, duration, options.yes)
