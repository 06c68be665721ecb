from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from omniforge.adapters.katib import messages
from omniforge.adapters.katib.messages import message, number, word

FIELDS = """
import json, sys, types
for name in ("kubeflow", "kubeflow.katib"):
    package = types.ModuleType(name)
    package.__path__ = [f"{sys.argv[1]}/{name.replace('.', '/')}"]
    sys.modules[name] = package
from kubeflow.katib import katib_api_pb2 as api
def fields(d, prefix=""):
    found = {prefix + d.name: {f.name: [f.number, f.type, f.label] for f in d.fields}}
    for inner in d.nested_types:
        found |= fields(inner, f"{prefix}{d.name}.")
    return found
every = {}
for d in api.DESCRIPTOR.message_types_by_name.values():
    every |= fields(d)
enums = {e.name: [v.name for v in e.values] for e in api.DESCRIPTOR.enum_types_by_name.values()}
nested = api.TrialStatus.DESCRIPTOR.enum_types_by_name["TrialConditionType"]
enums["TrialStatus.TrialConditionType"] = [v.name for v in nested.values]
print(json.dumps([every, enums]))
"""


@pytest.mark.service
def test_every_field_is_where_katibs_own_library_has_it(stubs: Path) -> None:
    printed = subprocess.run([sys.executable, "-c", FIELDS, str(stubs)], capture_output=True, text=True, check=True)
    theirs, enums = json.loads(printed.stdout)
    for name in messages._API_MESSAGES:
        ours = {field.name: [field.number, field.type, field.label] for field in message(name).DESCRIPTOR.fields}
        assert ours.pop("request_number", [3])[0] == 3  # gone from the library, still sent by older controllers
        assert ours.items() <= theirs[name].items(), name
    for name, values in messages._API_ENUMS.items():
        assert list(values) == enums[name]


def test_messages_survive_the_wire_and_keep_what_they_do_not_know(make: type) -> None:
    sent = make.experiment(make.parameter("a", "CATEGORICAL", values=("x", "y")))
    assert message("Experiment").FromString(sent.SerializeToString()) == sent
    later = b"\x92\x3f\x03abc"  # field 1010
    assert message("Experiment").FromString(later).SerializeToString() == later


def test_enumerations_have_numbers_and_words() -> None:
    assert number("Distribution", "LOG_NORMAL") == 4
    assert word("Distribution", 4) == "LOG_NORMAL"
    assert word("Distribution", 9) == "9"
    with pytest.raises(ValueError, match="not in tuple"):
        number("Distribution", "CAUCHY")
    with pytest.raises(KeyError):
        message("Suggestion")
