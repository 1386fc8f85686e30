"""The paper's four models at full size: built with the exact counts, and really run for a few steps.

The preparation is short (about 1 ps for lithium, 0.2 ps for silicon): what is tested is that the paper-scale path
works from parameters to trajectory, not the quality of amorphous silicon.
"""

import numpy as np
import pytest

from lisi_nb.engine import launch
from lisi_nb.studies import interdiffusion
from lisi_nb.studies.interdiffusion import INTERFACES, scaled
from lisi_nb.units import duration

# Fu et al., npj Comput. Mater. 2024: Si atoms; Li is twice that.
N_SI = {"aSi": 1536, "100": 1536, "110": 1536, "111": 1476}
N_STEPS = 40  # of 0.5 fs: the shortest duration the parameters allow


@pytest.mark.slow
@pytest.mark.parametrize("interface", INTERFACES)
def test_full_size_model_is_built_and_runs(interface, empty_data, capsys):
    params = scaled("paper", interface).replace(
        melt_ps=0.05, si_quench_K_per_ps=20000.0, duration_ps=N_STEPS * 0.5e-3, frame_ps=0.002, window_ps=0.01
    )
    assert params.timestep_fs == 0.5
    assert params.temperature_K == 500
    run = launch.wait(launch.launch(interdiffusion, params, "paper", "cpu"))
    structure, status = run.manifest["structure"], run.status()
    n_si = N_SI[interface]
    assert structure["formula"] == f"Li{2 * n_si}Si{n_si}"
    assert structure["n_atoms"] == 3 * n_si
    assert (status["state"], status["step"]) == ("finished", N_STEPS)
    frames = list(run.frames())
    assert len(frames) == 1 + N_STEPS // 4
    for frame in frames:
        assert (frame.is_li.sum(), (~frame.is_li).sum()) == (2 * n_si, n_si)
        assert np.isfinite(frame.positions_A).all()
    # In-plane cell: within 1.5 % of the paper's, the tolerance of the lattice parameter.
    cell = {"110": (21.87, 23.20), "111": (23.20, 20.09)}.get(interface, (21.87, 21.87))
    assert structure["cell_A"][:2] == pytest.approx(cell, rel=0.015)
    thermo = run.thermo()
    assert np.isfinite(thermo["PotEng"]).all()
    spent = thermo["CPU"][-1] - thermo["CPU"][1]
    per_step = spent / (thermo["Step"][-1] - thermo["Step"][1])
    estimate = interdiffusion.plan(scaled("paper", interface), ()).n_steps * per_step
    device, speed = run.manifest["device"], 1e6 * per_step / structure["n_atoms"]
    with capsys.disabled():
        print(
            f"\n  {interface}: {structure['n_atoms']} atoms, {speed:.1f} us per atom-step on {device['name']}", end=""
        )
        print(f", {device['ranks']} ranks; 5 ns would take {duration(estimate)}")
