"""Protein structure prediction. This domain is not part of the present version yet."""

import common

if getattr(common, "TRIFOLD_MARKER", None) != "trifold":
    raise ImportError(
        f"'common' is {getattr(common, '__file__', common)}, which hides Trifold's package of that name: "
        "rename that file, or run Python with -P"
    )
