"""How far a prediction can be trusted: a standard deviation of the right size, intervals that cover, probabilities
that mean what they say.

    outputs of the members --moments--> mean, std --Conformal--> calibrated std, intervals      (regression)
                                                  --Platt--> calibrated probability, std        (classes)

`Conformal` and `Platt` are fitted to the validation split and kept in the model's card.
"""
