"""Omniforge as a sampler of Optuna: a conditional search over two classifiers. ``python examples/optuna_sampler.py [TRIALS]``."""

from __future__ import annotations

import sys

import optuna
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from omniforge.adapters.optuna import OmniforgeSampler

X, y = load_wine(return_X_y=True)


def objective(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ["svm", "forest"])
    if kind == "svm":
        model = SVC(
            C=trial.suggest_float("C", 1e-3, 1e3, log=True), gamma=trial.suggest_float("gamma", 1e-4, 1, log=True)
        )
    else:
        depth = trial.suggest_int("depth", 1, 12)
        features = trial.suggest_float("features", 0.1, 1.0)
        model = RandomForestClassifier(n_estimators=20, max_depth=depth, max_features=features, random_state=0)
    return float(cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3).mean())


def main(trials: int) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=OmniforgeSampler(seed=0))
    study.optimize(objective, n_trials=trials)
    print(f"{study.best_value:.3f} with {study.best_params}")
    return study


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
