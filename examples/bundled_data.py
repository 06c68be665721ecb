"""Write a data set that ships with scikit-learn as a CSV file: ``python bundled_data.py breast_cancer out.csv``."""

from __future__ import annotations

import argparse
from pathlib import Path

from sklearn import datasets

TARGETS = {
    "breast_cancer": "diagnosis",
    "wine": "cultivar",
    "iris": "species",
    "digits": "digit",
    "diabetes": "progression",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(TARGETS))
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    if arguments.output.exists():
        return
    bunch = getattr(datasets, f"load_{arguments.name}")(as_frame=True)
    frame = bunch.data.copy()
    names = getattr(bunch, "target_names", None)
    named = names is not None and arguments.name not in ("digits", "diabetes")
    frame[TARGETS[arguments.name]] = [names[code] for code in bunch.target] if named else bunch.target
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.output.with_suffix(".tmp")
    frame.to_csv(temporary, index=False)
    temporary.replace(arguments.output)
    print(f"Wrote {arguments.output}: {len(frame)} rows, target {TARGETS[arguments.name]!r}")


if __name__ == "__main__":
    main()
