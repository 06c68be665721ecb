from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from omniforge.adapters.katib.algorithm import algorithm_names
from omniforge.adapters.katib.messages import message
from omniforge.adapters.katib.service import SuggestionService

FOLDER = Path(__file__).parents[3] / "manifests" / "katib"


def test_the_suggestion_entries_name_algorithms_and_start_the_server() -> None:
    from typer.main import get_command

    from omniforge.cli.app import app

    entries = yaml.safe_load((FOLDER / "suggestions.yaml").read_text())
    assert entries
    for entry in entries:
        assert entry["algorithmName"] in algorithm_names()
        group, command, *options = entry["args"]
        katib = get_command(app).commands[group]
        parsed = katib.commands[command].make_context(command, list(options))
        assert (parsed.params["host"], parsed.params["port"]) == ("0.0.0.0", 6789)
        assert entry["resources"]["limits"]["memory"] == "2Gi"


def test_the_example_is_an_experiment_that_is_accepted_and_searched(make: Any) -> None:
    spec = yaml.safe_load((FOLDER / "experiment.yaml").read_text())["spec"]
    parameters = [
        make.parameter(
            one["name"],
            one["parameterType"].upper(),
            values=tuple(one["feasibleSpace"].get("list", ())),
            distribution=upper(one["feasibleSpace"].get("distribution")),
            **{end: one["feasibleSpace"][end] for end in ("min", "max") if end in one["feasibleSpace"]},
        )
        for one in spec["parameters"]
    ]
    settings = {one["name"]: one["value"] for one in spec["algorithm"]["algorithmSettings"]}
    asked = make.experiment(
        *parameters,
        algorithm=spec["algorithm"]["algorithmName"],
        goal=spec["objective"]["type"].upper(),
        more=tuple(spec["objective"]["additionalMetricNames"]),
        **settings,
    )
    service = SuggestionService()
    service.validate_algorithm_settings(message("ValidateAlgorithmSettingsRequest")(experiment=asked))
    reply = service.get_suggestions(message("GetSuggestionsRequest")(experiment=asked, current_request_number=3))
    references = {one["reference"] for one in spec["trialTemplate"]["trialParameters"]}
    assert [{a.name for a in one.assignments} for one in reply.parameter_assignments] == [references] * 3


def upper(word: str | None) -> str | None:
    return word and re.sub(r"(?=[A-Z])", "_", word).upper()
