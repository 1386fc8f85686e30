"""What engines say at start-up is kept back, unless it is about an error."""

import os
import subprocess
import sys

import pytest

from lisi_nb.potentials.loading import kept_back


def test_native_messages_are_kept_back(capfd):
    with kept_back():
        os.write(2, b"CUDA is not here\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def fails_aloud():
    with kept_back():
        os.write(2, b"the reason\n")
        raise ValueError("broken")


def test_an_error_brings_them_to_light(capfd):
    with pytest.raises(ValueError, match="broken"):
        fails_aloud()
    os.write(2, b"after\n")
    said = capfd.readouterr().err
    assert "the reason" in said
    assert said.endswith("after\n")


def test_a_calculator_loads_in_silence():
    """Only at exit does a missing CUDA library say so once more."""
    asked = (
        "from lisi_nb import potentials; from ase.build import bulk; import sys\n"
        "a = bulk('Si'); a.calc = potentials.get('lisi').calculator(); a.get_forces(); sys.stderr.write('END')"
    )
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stderr
    assert said.partition("END")[0] == ""
