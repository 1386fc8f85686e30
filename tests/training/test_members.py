"""Members train side by side: their curves are drawn while they do, and the last step of each is said."""

import time

from PIL import Image

from lisi_nb.training import members

HEADER = "#  step  rmse_e_val  rmse_e_trn  rmse_f_val  rmse_f_trn  lr\n"


def test_learning_curves_are_drawn_while_members_train(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "SAY_EVERY_S", 0.05)
    picture, said, seen = tmp_path / members.PICTURE, [], []

    def member(folder, error):
        folder.mkdir()
        (folder / "lcurve.out").write_text(HEADER + f"1 1 1 {error} 1 1e-2\n2 1 1 {error / 2} 1 1e-3\n")
        deadline = time.monotonic() + 60
        while not picture.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        seen.append(Image.open(picture).size)  # a whole picture, while it trains
        return folder / "frozen.pb"

    jobs = {
        tmp_path / name: lambda f=tmp_path / name, e=e: member(f, e) for name, e in (("seed1", 0.4), ("seed2", 0.6))
    }
    assert members.side_by_side(jobs, said.append) == [
        tmp_path / "seed1" / "frozen.pb",
        tmp_path / "seed2" / "frozen.pb",
    ]
    assert len(seen) == 2
    assert str(picture) in said[0]
    assert "seed1: step 2, held-out force error 0.200 eV/Å" in said[0]
    assert sum(str(picture) in text for text in said) == 1
    assert not list(tmp_path.glob("*.part"))
