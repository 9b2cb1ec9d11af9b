"""Why a prediction is what it is: what each atom or element adds to it, and which training materials it resembles."""
