"""Commands about the installation and whole studies."""

from __future__ import annotations

import argparse

from lisi_nb import reproduce, tables
from lisi_nb.commands.common import Answer, get_study, say
from lisi_nb.engine import doctor
from lisi_nb.errors import check_choice
from lisi_nb.units import duration


def command_doctor(_: argparse.Namespace) -> Answer:
    """``lisi-nb doctor``: one real step of every engine."""
    checks = doctor.examine()
    say(str(tables.health(checks)))
    return (0 if all(c.ok for c in checks if c.needed) else 1), [vars(c) for c in checks]


def command_reproduce(options: argparse.Namespace) -> Answer:
    """``lisi-nb reproduce``: a whole study: all variants, a table beside the paper, figures, the notebook."""
    if options.seeds < 1:
        raise ValueError(
            f"--seeds={options.seeds} is not allowed. Give 1 or more; 3 or more for error bars over seeds."
        )
    study = get_study(options.study)
    check_choice("scale", options.scale, study.SCALES)
    return 0, reproduce.reproduce(study, options.scale, options.seeds, options.device, say, duration, options.yes)
