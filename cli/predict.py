"""``omniforge predict``: a registered model on a file of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import SpecError
from .console import out, print_json


def predict(
    model: Annotated[str, typer.Argument(help="family, family@alias or family/version.", metavar="MODEL")],
    data: Annotated[
        Path, typer.Option("--data", help="CSV (.gz), Parquet or Arrow file; .npy or .npz for images.", metavar="FILE")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV file to write.", metavar="OUT.csv")],
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Of a CSV file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict: columns `prediction` and, for classes, `proba_<class>`."""
    from ..client import Client
    from ..data import is_tensor_file, read_rows, read_table
    from ..files import replacing

    client = Client()
    version = client.model(model)
    rows = read_rows(data) if is_tensor_file(data) else read_table(data, delimiter=delimiter)
    predictions = client.predict(model, rows)
    try:
        with replacing(output) as temporary:
            predictions.to_csv(temporary, index=False)
    except OSError as e:
        raise SpecError(f"Output file {str(output)!r} cannot be written: {e.strerror or e}.") from e
    if json:
        print_json(
            {"model": f"{version.family}/{version.version}", "rows": len(predictions), "path": str(output.absolute())}
        )
    else:
        out().print(f"Wrote {len(predictions)} predictions of {version.family}/{version.version} to {output}")
