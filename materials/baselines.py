"""What a network has to beat: the mean, and scikit-learn's models on Morgan fingerprints and descriptors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from common.app.errors import ConfigError
from common.app.registry import did_you_mean

Kind = Literal["regression", "classification"]


def baseline_predictions(
    name: str, kind: Kind, train: np.ndarray, target: np.ndarray, test: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Predictions [N', T] float64, or probabilities of class 1, for features `test` [N', F].

    Each property is learned on its own from the rows of `train` [N, F] whose `target` [N, T] is known. A property with
    one known class only gets that class. Raises ConfigError for an unknown name or where scikit-learn is missing.
    """
    if name not in BASELINES:
        raise ConfigError(f"unknown baseline '{name}'. {did_you_mean(name, list(BASELINES))}")
    columns = []
    for values in target.T:
        known = ~np.isnan(values)
        columns.append(_one_property(name, kind, train[known], values[known], test, seed))
    return np.stack(columns, axis=1)


def _one_property(
    name: str, kind: Kind, train: np.ndarray, target: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    if name == "mean" or len(np.unique(target)) < 2:
        return np.full(len(test), target.mean() if len(target) else np.nan)
    model = BASELINES[name](kind, seed)
    if kind == "regression":
        return model.fit(train, target).predict(test)
    return model.fit(train, target > 0.5).predict_proba(test)[:, 1]


def _ridge(kind: Kind, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    penalties = np.logspace(0, 5, 11)
    model = RidgeCV(penalties) if kind == "regression" else LogisticRegression(C=1e-2, max_iter=2000)
    return make_pipeline(StandardScaler(), model)


def _random_forest(kind: Kind, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    if kind == "regression":
        return RandomForestRegressor(300, max_features=1 / 3, random_state=seed)
    return RandomForestClassifier(300, random_state=seed)


def _gradient_boosting(kind: Kind, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    settings = {"max_iter": 300, "learning_rate": 0.05, "max_leaf_nodes": 15, "random_state": seed}
    return (HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier)(**settings)


def _importing(make: Callable[[Kind, int], Any]) -> Callable[[Kind, int], Any]:
    def guarded(kind: Kind, seed: int) -> Any:
        try:
            return make(kind, seed)
        except ImportError as error:
            raise ConfigError(f"baselines need scikit-learn ({error}): pip install scikit-learn") from error

    return guarded


BASELINES: dict[str, Callable[[Kind, int], Any]] = {
    "mean": _importing(lambda kind, seed: None),
    "ridge": _importing(_ridge),
    "random_forest": _importing(_random_forest),
    "gradient_boosting": _importing(_gradient_boosting),
}
