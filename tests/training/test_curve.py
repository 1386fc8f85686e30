"""Learning curves: the file of a real training while it is written, and one that lacks what is asked."""

import numpy as np
import pytest

from lisi_nb.training.curve import curve_chart, learning_curve

REAL = """#  step   rmse_val   rmse_trn  rmse_e_val  rmse_e_trn  rmse_f_val  rmse_f_trn  rmse_v_val  rmse_v_trn       lr
# If there is no available reference data, rmse_*_{val,trn} will print nan
      1   7.96e+00   7.22e+00    1.16e+00    6.53e-01    7.77e-01    7.18e-01    1.04e+00    2.35e-01  2.0e-02
    200   2.53e+00   2.32e+00    1.15e-01    1.32e-01    3.06e-01    2.70e-01    5.96e-02    5.58e-02  1.1e-02
"""


def test_columns_are_found_by_name(tmp_path):
    (tmp_path / "lcurve.out").write_text(REAL)
    found = learning_curve(tmp_path / "lcurve.out")
    np.testing.assert_array_equal(found.step, [1, 200])
    np.testing.assert_array_equal(found.force_held_out_eV_A, [0.777, 0.306])
    np.testing.assert_array_equal(found.force_training_eV_A, [0.718, 0.270])
    np.testing.assert_array_equal(found.energy_held_out_eV_atom, [1.16, 0.115])
    np.testing.assert_array_equal(found.learning_rate, [0.02, 0.011])
    chart = curve_chart({"member 0": found})
    assert chart.curves[0].label == "member 0"


def test_every_beginning_of_the_file_can_be_read(tmp_path):
    for cut in range(len(REAL)):
        (tmp_path / "lcurve.out").write_text(REAL[:cut])
        assert len(learning_curve(tmp_path / "lcurve.out").step) in (0, 1)
    assert len(learning_curve(tmp_path / "none.out").step) == 0


def test_a_training_without_held_out_frames_is_said(tmp_path):
    (tmp_path / "lcurve.out").write_text("#  step  rmse_trn  lr\n  1  2.0  0.1\n")
    with pytest.raises(ValueError, match="has no column rmse_f_val"):
        learning_curve(tmp_path / "lcurve.out")


def test_a_training_that_went_on_has_each_step_once(tmp_path):
    """Killed at 400 after its checkpoint at 200, it writes 300 and 400 again: the later lines count."""
    line = "    {0}   1.0  1.0  0.1  0.1  {1}  0.2  0.1  0.1  1e-3\n"
    first = REAL + "".join(line.format(step, 0.9) for step in (300, 400))
    again = REAL.split("\n", maxsplit=1)[0] + "\n" + "".join(line.format(step, 0.1) for step in (300, 400, 500))
    (tmp_path / "lcurve.out").write_text(first + again)
    found = learning_curve(tmp_path / "lcurve.out")
    np.testing.assert_array_equal(found.step, [1, 200, 300, 400, 500])
    np.testing.assert_array_equal(found.force_held_out_eV_A, [0.777, 0.306, 0.1, 0.1, 0.1])
