"""The screenshots of the recording on one sheet for the README: `make recording`."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PROJECT = Path(__file__).parents[2]
SHOTS = PROJECT / "tests" / "artifacts"
SHEET = PROJECT / "docs" / "recording.png"
NOTEBOOK = (286, 28, 1248, 700)  # without JupyterLab's side bars
COLUMNS, WIDTH, CAPTION = 2, 600, 26


def sheet(shots):
    """Screenshots with their names as captions, in rows of `COLUMNS`."""
    pictures = {shot.stem.partition("-")[2].replace("-", " "): Image.open(shot).crop(NOTEBOOK) for shot in shots}
    first = next(iter(pictures.values()))
    height = round(first.height * WIDTH / first.width)
    rows = -(-len(pictures) // COLUMNS)
    whole = Image.new("RGB", (COLUMNS * (WIDTH + 8) - 8, rows * (height + CAPTION)), "white")
    draw = ImageDraw.Draw(whole)
    for k, (name, picture) in enumerate(pictures.items()):
        left, top = k % COLUMNS * (WIDTH + 8), k // COLUMNS * (height + CAPTION)
        draw.text((left + 2, top + 4), name, fill="black", font=ImageFont.load_default(15))
        whole.paste(picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS), (left, top + CAPTION))
    return whole.quantize(48)


if __name__ == "__main__":
    SHEET.parent.mkdir(exist_ok=True)
    sheet(sorted(SHOTS.glob("recording-*.png"))).save(SHEET, optimize=True)
    print(f"{SHEET.relative_to(PROJECT)}: {SHEET.stat().st_size / 1000:.0f} kB")
