from __future__ import annotations

from typing import Any

import pytest

from omniforge.adapters.katib.messages import message
from omniforge.adapters.katib.service import MOST_EXPERIMENTS, SuggestionService
from omniforge.errors import SpecError


def request(experiment: Any, *, trials: Any = (), **numbers: int) -> Any:
    made = message("GetSuggestionsRequest")(experiment=experiment, **numbers)
    made.trials.extend(trials)
    return made


def test_a_request_is_answered_with_as_many_as_it_asks_for(make: Any) -> None:
    service = SuggestionService()
    reply = service.get_suggestions(request(make.experiment(), current_request_number=3, total_request_number=3))
    assert [[a.name for a in one.assignments] for one in reply.parameter_assignments] == [["lr"]] * 3
    old = service.get_suggestions(request(make.experiment(), request_number=2))
    assert len(old.parameter_assignments) == 2
    assert len(service.get_suggestions(request(make.experiment())).parameter_assignments) == 0
    with pytest.raises(SpecError, match="is -1"):
        service.get_suggestions(request(make.experiment(), current_request_number=-1))


def test_an_experiment_stays_warm_until_many_others_came(make: Any) -> None:
    service = SuggestionService()
    first = make.experiment()
    for i in range(MOST_EXPERIMENTS + 1):
        other = make.experiment()
        other.name = f"exp-{i}"
        service.get_suggestions(request(other, current_request_number=1))
    assert len(service._searches) == MOST_EXPERIMENTS
    searches = list(service._searches.values())
    service.get_suggestions(request(other, current_request_number=1))
    assert list(service._searches.values()) == searches
    service.get_suggestions(request(first, current_request_number=1))
    assert searches[0] not in service._searches.values()
    service.close()
    assert not service._searches


def test_an_experiment_whose_space_changed_is_another(make: Any) -> None:
    service = SuggestionService()
    trials = [make.trial("a", {"lr": 0.1}, accuracy=1.0)]
    service.get_suggestions(request(make.experiment(), trials=trials, current_request_number=1))
    wider = make.experiment(make.parameter("lr", "DOUBLE", min="5", max="9"))
    reply = service.get_suggestions(request(wider, trials=trials, current_request_number=1))
    assert 5 <= float(reply.parameter_assignments[0].assignments[0].value) <= 9
    assert len(service._searches) == 2


def test_the_caller_is_answered_before_it_gives_up(make: Any) -> None:
    service = SuggestionService()
    asked = request(make.experiment(algorithm="omniforge-sobol"), current_request_number=2)
    assert len(service.get_suggestions(asked, time_left_s=0.0).parameter_assignments) == 2


def test_validation_keeps_nothing(make: Any) -> None:
    service = SuggestionService()
    asked = message("ValidateAlgorithmSettingsRequest")(experiment=make.experiment())
    assert service.validate_algorithm_settings(asked).ByteSize() == 0
    assert not service._searches
    asked.experiment.spec.nas_config.graph_config.num_layers = 3
    with pytest.raises(SpecError, match="nasConfig"):
        service.validate_algorithm_settings(asked)
