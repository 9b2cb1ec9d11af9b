"""Check a built site in headless Chromium: `python -m docs.check build/docs [pictures=FOLDER]`.

Prints console errors, broken internal links, missing pictures, requests to other hosts and pages wider than the screen;
exits with 1 where there are any.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.check.site import check_site


def main(words: list[str]) -> int:
    folder, pictures = Path(words[0] if words else "build/docs"), None
    for word in words[1:]:
        pictures = Path(word.removeprefix("pictures="))
    if not (folder / "index.html").is_file():
        print(f"{folder} holds no site; build it by `make docs`", file=sys.stderr)
        return 2
    problems = check_site(folder, pictures=pictures)
    print("\n".join(problems) or f"{sum(1 for _ in folder.rglob('*.html'))} pages are all right")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
