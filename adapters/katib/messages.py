"""The messages of Katib's suggestion API and of gRPC's health check, as protobuf classes. Not the services.

They are declared here, by name and field number as ``api.v1.beta1`` and ``grpc.health.v1`` have them, and put together at run
time in a descriptor pool of their own: no generated code that ties the package to one version of protobuf, and no clash with
another copy of ``api.proto`` in the same process. Fields that a suggestion service does not read are left out; protobuf keeps
what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

API = "api.v1.beta1"
HEALTH = "grpc.health.v1"

_SCALARS = {"double": 1, "int32": 5, "string": 9}
_ENUM, _MESSAGE = 14, 11

Fields = Mapping[str, tuple[int, str]]

_API_ENUMS: Mapping[str, tuple[str, ...]] = {
    "ParameterType": ("UNKNOWN_TYPE", "DOUBLE", "INT", "DISCRETE", "CATEGORICAL"),
    "Distribution": ("DISTRIBUTION_UNSPECIFIED", "UNIFORM", "LOG_UNIFORM", "NORMAL", "LOG_NORMAL"),
    "ObjectiveType": ("UNKNOWN", "MINIMIZE", "MAXIMIZE"),
    "TrialStatus.TrialConditionType": (
        "CREATED", "RUNNING", "SUCCEEDED", "KILLED", "FAILED", "METRICSUNAVAILABLE", "EARLYSTOPPED", "UNKNOWN",
    ),
}  # fmt: skip
_API_MESSAGES: Mapping[str, Fields] = {
    "FeasibleSpace": {
        "max": (1, "string"),
        "min": (2, "string"),
        "list": (3, "repeated string"),
        "step": (4, "string"),
        "distribution": (5, "Distribution"),
    },
    "ParameterSpec": {
        "name": (1, "string"),
        "parameter_type": (2, "ParameterType"),
        "feasible_space": (3, "FeasibleSpace"),
    },
    "ObjectiveSpec": {
        "type": (1, "ObjectiveType"),
        "goal": (2, "double"),
        "objective_metric_name": (3, "string"),
        "additional_metric_names": (4, "repeated string"),
    },
    "AlgorithmSetting": {"name": (1, "string"), "value": (2, "string")},
    "AlgorithmSpec": {"algorithm_name": (1, "string"), "algorithm_settings": (2, "repeated AlgorithmSetting")},
    "GraphConfig": {"num_layers": (1, "int32")},
    "NasConfig": {"graph_config": (1, "GraphConfig")},
    "ExperimentSpec.ParameterSpecs": {"parameters": (1, "repeated ParameterSpec")},
    "ExperimentSpec": {
        "parameter_specs": (1, "ExperimentSpec.ParameterSpecs"),
        "objective": (2, "ObjectiveSpec"),
        "algorithm": (3, "AlgorithmSpec"),
        "parallel_trial_count": (5, "int32"),
        "max_trial_count": (6, "int32"),
        "nas_config": (7, "NasConfig"),
    },
    "Experiment": {"name": (1, "string"), "spec": (2, "ExperimentSpec")},
    "ParameterAssignment": {"name": (1, "string"), "value": (2, "string")},
    "TrialSpec.ParameterAssignments": {"assignments": (1, "repeated ParameterAssignment")},
    "TrialSpec": {"objective": (2, "ObjectiveSpec"), "parameter_assignments": (3, "TrialSpec.ParameterAssignments")},
    "Metric": {"name": (1, "string"), "value": (2, "string")},
    "Observation": {"metrics": (1, "repeated Metric")},
    "TrialStatus": {
        "start_time": (1, "string"),
        "completion_time": (2, "string"),
        "condition": (3, "TrialStatus.TrialConditionType"),
        "observation": (4, "Observation"),
    },
    "Trial": {"name": (1, "string"), "spec": (2, "TrialSpec"), "status": (3, "TrialStatus")},
    "GetSuggestionsRequest": {
        "experiment": (1, "Experiment"),
        "trials": (2, "repeated Trial"),
        "request_number": (3, "int32"),  # what older controllers fill in instead of the next
        "current_request_number": (4, "int32"),
        "total_request_number": (5, "int32"),
    },
    "GetSuggestionsReply.ParameterAssignments": {
        "assignments": (1, "repeated ParameterAssignment"),
        "trial_name": (2, "string"),
    },
    "GetSuggestionsReply": {
        "parameter_assignments": (1, "repeated GetSuggestionsReply.ParameterAssignments"),
        "algorithm": (2, "AlgorithmSpec"),
    },
    "ValidateAlgorithmSettingsRequest": {"experiment": (1, "Experiment")},
    "ValidateAlgorithmSettingsReply": {},
}
_HEALTH_ENUMS: Mapping[str, tuple[str, ...]] = {
    "HealthCheckResponse.ServingStatus": ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
}
_HEALTH_MESSAGES: Mapping[str, Fields] = {
    "HealthCheckRequest": {"service": (1, "string")},
    "HealthCheckResponse": {"status": (1, "HealthCheckResponse.ServingStatus")},
}
_ENUMS: Mapping[str, tuple[str, ...]] = {**_API_ENUMS, **_HEALTH_ENUMS}


def message(name: str) -> Any:
    """Return the class of a message, such as ``"GetSuggestionsReply"`` or ``"GetSuggestionsReply.ParameterAssignments"``.

    Raises:
        KeyError: There is no such message.
    """
    return _classes()[name]


def number(enum: str, value: str) -> int:
    """Return the number of a value of an enumeration, such as ``number("ObjectiveType", "MAXIMIZE")``.

    Raises:
        KeyError: There is no such enumeration.
        ValueError: It has no such value.
    """
    return _ENUMS[enum].index(value)


def word(enum: str, value: int) -> str:
    """Return the name of a value of an enumeration; its number as text when it is a newer one."""
    values = _ENUMS[enum]
    return values[value] if 0 <= value < len(values) else str(value)


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    found = {}
    for package, messages, enums in ((API, _API_MESSAGES, _API_ENUMS), (HEALTH, _HEALTH_MESSAGES, _HEALTH_ENUMS)):
        pool.Add(_file(package, messages, enums))
        for name in messages:
            found[name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
    return found


def _file(package: str, messages: Mapping[str, Fields], enums: Mapping[str, tuple[str, ...]]) -> Any:
    """Return the descriptor of a file with these messages; a dot in a name is nesting."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name=f"omniforge/{package}.proto", package=package, syntax="proto3")
    made: dict[str, Any] = {}
    for name in sorted(messages, key=lambda name: name.count(".")):
        outer, _, own = name.rpartition(".")
        made[name] = (made[outer].nested_type if outer else file.message_type).add(name=own)
        for field, (position, kind) in messages[name].items():
            _add_field(made[name], field, position=position, kind=kind, package=package, enums=enums)
    for name, values in enums.items():
        outer, _, own = name.rpartition(".")
        enum = (made[outer] if outer else file).enum_type.add(name=own)
        for i, value in enumerate(values):
            enum.value.add(name=value, number=i)
    return file


def _add_field(
    descriptor: Any, name: str, *, position: int, kind: str, package: str, enums: Mapping[str, tuple[str, ...]]
) -> None:
    repeated, _, plain = kind.rpartition(" ")
    field = descriptor.field.add(name=name, number=position, label=3 if repeated else 1)
    if plain in _SCALARS:
        field.type = _SCALARS[plain]
    else:
        field.type = _ENUM if plain in enums else _MESSAGE
        field.type_name = f".{package}.{plain}"
