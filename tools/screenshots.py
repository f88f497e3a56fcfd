"""Take pictures of pages of the built site, as a wide window and a phone show them, light and dark.

``nox -s screenshots`` builds the site first and writes PNG files into ``site-screenshots``. It needs Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: The pages, by their path in the site.
PAGES = (
    "",
    "install/",
    "tutorial/",
    "tour/",
    "troubleshooting/",
    "how-to/start-up/",
    "come-from/alembic/",
    "reference/commands/",
    "reference/errors/",
    "reference/api/functions/",
    "explanation/how-a-run-goes/",
    "benchmarks/",
)
#: The width of each window in pixels, and whether it asks for the dark scheme.
WINDOWS = {"wide": (1280, False), "narrow": (375, False), "dark": (1280, True)}
HEIGHT = 900
#: The narrowest window that Chromium makes: a narrower page is shown in a frame.
NARROWEST = 500
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: The name of the file with that frame, in the site.
FRAME = "screenshot-frame.html"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing: only the pictures are of interest."""


def take(site: Path, into: Path, pages: tuple[str, ...]) -> list[Path]:
    """Take the pictures of pages.

    Args:
        site: The folder of the built site.
        into: The folder for the files, which is made if it is missing.
        pages: The paths of the pages in the site.

    Returns:
        The files: one for each page and window.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        sys.exit(f"no browser: install one of {', '.join(PROGRAMS)}")
    into.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    files = []
    try:
        for page in pages:
            for window, (width, dark) in WINDOWS.items():
                frame = f'<body style="margin:0"><iframe src="{address}{page}" width={width} height={HEIGHT} style="border:0">'
                (site / FRAME).write_text(frame, encoding="utf-8")
                shown = page if width >= NARROWEST else FRAME
                file = into / f"{page.strip('/').replace('/', '-') or 'index'}.{window}.png"
                _photograph(program, f"{address}{shown}", file, max(width, NARROWEST), dark=dark)
                files.append(file)
    finally:
        (site / FRAME).unlink(missing_ok=True)
        server.shutdown()
    return files


def _photograph(program: str, url: str, file: Path, width: int, *, dark: bool) -> None:
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *("--disable-background-networking", "--disable-sync", f"--user-data-dir={profile}"),
            *(f"--window-size={width},{HEIGHT}", "--virtual-time-budget=3000", f"--screenshot={file}"),
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
            url,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="nox -s screenshots --", description=__doc__)
    parser.add_argument("pages", nargs="*", default=PAGES, help="the paths of pages in the site, such as tutorial/")
    given = parser.parse_args()
    for each in take(Path("site"), Path("site-screenshots"), tuple(given.pages)):
        print(each)
