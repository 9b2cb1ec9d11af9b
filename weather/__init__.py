"""Neural weather forecasting. This domain is not part of the present version yet."""

import common

if getattr(common, "TRIFOLD_MARKER", None) != "trifold":  # then even our own errors cannot be imported
    raise ImportError(
        f"{getattr(common, '__file__', common)} hides Trifold's package 'common'. Rename that file, or start Python with "
        "`python -P`, which leaves the script's and the working folder out of the search path."
    )
