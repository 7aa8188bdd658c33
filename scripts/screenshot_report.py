"""Pictures of an HTML report as a browser shows it: desktop and phone, light and dark.

`python scripts/screenshot_report.py results/RUN/report.html pictures/` writes desktop-light.png, desktop-dark.png,
phone-light.png and phone-dark.png. `--picture docs/report.png` writes the README's: the top of the page on a desktop,
light, in few colours, so that it stays small. `--timing N` opens the page N times and prints the browser's own times:
the first contentful paint, and when all charts were drawn, in ms after the navigation began.
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

import click
from PIL import Image
from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from convert.common.errors import InputError

SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
PICTURE = (1280, 1180)  # of the README: what is asked first, and its answer
COLOURS = 64
READY = "html[data-ready]"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
PARSED = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


@click.command()
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Write the README's picture here.")
@click.option("--timing", type=click.IntRange(min=1), help="Open it so many times and print how long it takes.")
@click.option("--height", type=int, help="Only so many pixels of the page from its top; default: all of it.")
def main(report: Path, folder: Path | None, picture: Path | None, timing: int | None, height: int | None) -> None:
    """Write pictures of REPORT (an HTML file) into FOLDER, the README's picture, or time how it opens."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        raise InputError("no browser: neither chromium nor google-chrome is on the PATH")
    if not folder and not timing and not picture:
        raise InputError("nothing to do: give a FOLDER for the pictures, --picture FILE, or --timing N")
    url = report.resolve().as_uri()
    try:
        with sync_playwright() as play, _open(play, chromium) as browser:
            if timing:
                _time(browser, url, timing)
            if folder:
                _shoot(browser, url, folder, height)
            if picture:
                _picture(browser, url, picture)
    except Error as error:
        raise InputError(f"{report}: {error.message.splitlines()[0]}") from None


def _open(play: Playwright, chromium: str) -> Browser:
    return play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


def _time(browser: Browser, url: str, times: int) -> None:
    paints, parsed, drawn = [], [], []
    for _ in range(times):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.wait_for_selector(READY)
        drawn.append(page.evaluate("performance.now()"))
        paints.append(page.evaluate(PAINT))
        parsed.append(page.evaluate(PARSED))
        page.close()
    for name, values in (("first contentful paint", paints), ("page parsed", parsed), ("all charts drawn", drawn)):
        click.echo(f"{name}: median {statistics.median(values):.0f} ms, slowest {max(values):.0f} ms of {times}")


def _shoot(browser: Browser, url: str, folder: Path, height: int | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (width, tall) in SIZES.items():
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": width, "height": height or tall},
                device_scale_factor=1 if name == "desktop" else 2,
                color_scheme="light" if scheme == "light" else "dark",
            )
            page.goto(url)
            page.wait_for_selector(READY)
            if height is None:  # what is far below is laid out only when it is scrolled to, which a picture does not
                page.add_style_tag(content=".lazy { content-visibility: visible }")
            path = folder / f"{name}-{scheme}.png"
            page.screenshot(path=path, full_page=height is None)
            page.close()
            click.echo(path)


def _picture(browser: Browser, url: str, file: Path) -> None:
    """The top of the page, down to the end of the answer where that fits."""
    width, tall = PICTURE
    page = browser.new_page(viewport={"width": width, "height": tall}, color_scheme="light")
    page.goto(url)
    page.wait_for_selector(READY)
    end = page.evaluate("document.querySelector('#answer').getBoundingClientRect().bottom")
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file, clip={"x": 0, "y": 0, "width": width, "height": min(tall, end + 24)})
    page.close()
    with Image.open(file) as taken:
        few = taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(file, optimize=True)
    click.echo(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
