"""Small pipelines that say what a runner of compiled pipelines must do; kfp takes the components' source from here."""

# Components are kfp's dialect: types that it can read, no import from outside a function, defaults that are JSON.
# mypy: ignore-errors
# ruff: noqa: B006, PTH103, PTH110, PTH118, PTH123, PTH202, PTH208, SIM117, UP006, UP014, UP035, UP045

from typing import Dict, List, NamedTuple, Optional

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

python = dsl.component(base_image="python:3.11", install_kfp_package=False)


@python
def start(count: int, note: str = "none") -> NamedTuple("Started", [("workers", List[int]), ("info", dict)]):
    from collections import namedtuple

    return namedtuple("Started", ["workers", "info"])(list(range(count)), {"note": note, "count": str(count)})


@python
def square(index: int) -> int:
    return index * index


@python
def total(numbers: List[int]) -> int:
    return int(sum(numbers))


@python
def say(text: str) -> str:
    print("saying", text)
    return text


@python
def names_of(count: int) -> List[str]:
    return ["n" + str(index) for index in range(count)]


@python
def join(texts: List[str]) -> str:
    return "+".join(texts)


@python
def kinds(
    text: str,
    whole: int,
    real: float,
    flag: bool,
    items: list,
    table: dict,
    words: List[str],
    maybe: Optional[str] = None,
) -> str:
    import json

    return json.dumps([text, whole, real, flag, items, table, words, maybe], sort_keys=True)


@python
def echo(text: str, maybe: Optional[str] = None, number: Optional[int] = None) -> str:
    return text + str(maybe) + str(number)


@python
def give(what: str) -> NamedTuple(
    "Given", [("whole", int), ("real", float), ("flag", bool), ("items", list), ("table", dict)]
):
    from collections import namedtuple

    Given = namedtuple("Given", ["whole", "real", "flag", "items", "table"])
    return Given(7, 2.5, True, [what, "b", [True, "z"]], {"a": {"b": [what]}, "real": 0.25})


@python
def defaults(
    text: str = "t", whole: int = 3, real: float = 4, flag: bool = False, items: list = ["x"], table: dict = {"k": "v"}
) -> str:
    import json

    return json.dumps([text, whole, real, flag, items, table])


@python
def write_files(text: str, rows: Output[Dataset], word: dsl.OutputPath(str), number: dsl.OutputPath(int)):
    with open(rows.path, "w") as file:
        file.write(text)
    rows.metadata["rows"] = text
    with open(word, "w") as file:
        file.write(text + "!")
    with open(number, "w") as file:
        file.write("12")


@python
def train(rows: Input[Dataset], model: Output[Model], report: Output[HTML], metrics: Output[Metrics]) -> float:
    import os

    with open(rows.path) as file:
        text = file.read()
    os.makedirs(model.path)
    with open(os.path.join(model.path, "weights.txt"), "w") as file:
        file.write(text.upper() + rows.metadata["rows"])
    with open(report.path, "w") as file:
        file.write("<html><b>" + text + "</b></html>")
    metrics.log_metric("accuracy", 0.75)
    metrics.metadata["name"] = text
    return 0.75


@python
def serve(model: Input[Model], rows: dsl.InputPath("Dataset"), extra: Optional[Input[Artifact]] = None) -> str:
    import os

    with open(os.path.join(model.path, "weights.txt")) as file:
        weights = file.read()
    with open(rows) as file:
        return weights + file.read() + str(extra)


@python
def part(name: str, out: Output[Artifact]) -> str:
    with open(out.path, "w") as file:
        file.write(name)
    out.metadata["name"] = name
    return name


@python
def read(file: Input[Artifact]) -> str:
    with open(file.path) as text:
        return text.read()


@python
def cell(row: str, column: str, out: Output[Artifact]) -> str:
    with open(out.path, "w") as file:
        file.write(row + column)
    out.metadata["name"] = column
    return row + column


@python
def gather(parts: Input[List[Artifact]], names: List[str]) -> str:
    texts = []
    for one in parts:
        with open(one.path) as file:
            texts.append(file.read() + one.metadata["name"])
    return ",".join(texts) + "/" + ",".join(names)


@python
def measure(size: int, scale: float) -> Dict[str, float]:
    return {"value": size * scale}


@dsl.pipeline(name="chain")
def chain(count: int = 3) -> NamedTuple("Outputs", [("note", str), ("given", str)]):
    first = say(text="hello")
    second = say(text=first.output).after(first)
    given = give(what="w")
    listed = kinds(
        text=second.output,
        whole=count,
        real=0.5,
        flag=True,
        items=["a", {"b": "c"}],
        table={"k": ["v"]},
        words=["p", "q"],
    )
    passed = kinds(
        text=f"<{first.output}>", whole=given.outputs["whole"], real=given.outputs["real"], flag=given.outputs["flag"],
        items=given.outputs["items"], table=given.outputs["table"], words=["p"], maybe="m",
    )  # fmt: skip
    outputs = NamedTuple("Outputs", [("note", str), ("given", str)])
    return outputs(listed.output, passed.output)


@dsl.pipeline(name="filled")
def filled(text: str, real: float = 2, flag: bool = True, items: List[str] = ["i"], table: dict = {"t": "u"}) -> str:
    from_defaults = defaults()
    from_parameters = defaults(text=text, real=real, flag=flag, items=items, table=table)
    say(text=from_defaults.output)
    return from_parameters.output


@dsl.pipeline(name="files")
def files(text: str = "data") -> str:
    written = write_files(text=text)
    trained = train(rows=written.outputs["rows"])
    say(text=written.outputs["word"])
    square(index=written.outputs["number"])
    return serve(model=trained.outputs["model"], rows=written.outputs["rows"]).output


@dsl.pipeline(name="inner")
def inner(text: str, suffix: str = "!") -> str:
    return say(text=f"{text}{suffix}").output


@dsl.pipeline(name="middle")
def middle(text: str) -> str:
    once = inner(text=text)
    return inner(text=once.output, suffix="?").output


@dsl.pipeline(name="nested")
def nested(text: str = "x") -> str:
    first = inner(text=text)
    return say(text=middle(text=first.output).output).output


@dsl.pipeline(name="fit")
def fit(rows: Input[Dataset]) -> Model:
    return train(rows=rows).outputs["model"]


@dsl.pipeline(name="nested-files")
def nested_files(text: str = "in") -> str:
    written = write_files(text=text)
    fitted = fit(rows=written.outputs["rows"])
    return serve(model=fitted.output, rows=written.outputs["rows"]).output


@dsl.pipeline(name="static-loop")
def static_loop() -> int:
    with dsl.ParallelFor(items=[1, 2, 3, 4]) as index:
        squared = square(index=index)
    return total(numbers=dsl.Collected(squared.output)).output


@dsl.pipeline(name="listed-loop")
def listed_loop(count: int = 3) -> str:
    with dsl.ParallelFor(items=names_of(count=count).output, parallelism=2) as name:
        made = part(name=name)
    return gather(parts=dsl.Collected(made.outputs["out"]), names=dsl.Collected(made.outputs["Output"])).output


@dsl.pipeline(name="struct-loop")
def struct_loop(scale: float = 2) -> List[Dict[str, float]]:
    with dsl.ParallelFor(items=[{"size": 1, "word": "a"}, {"size": 3, "word": "b"}]) as item:
        measured = measure(size=item.size, scale=scale)
        square(index=item.size)
    return dsl.Collected(measured.output)


@dsl.pipeline(name="parameter-loop")
def parameter_loop(names: List[str] = ["a", "b", "c"]) -> str:
    with dsl.ParallelFor(items=names) as name:
        made = part(name=name)
    return gather(parts=dsl.Collected(made.outputs["out"]), names=dsl.Collected(made.outputs["Output"])).output


@dsl.pipeline(name="branches")
def branches(text: str = "left", count: int = 2) -> str:
    said = say(text=text)
    with dsl.If(said.output == "left"):
        left = say(text="went left")
    with dsl.Elif(count > 3):
        middle = say(text="went through the middle")
    with dsl.Else():
        right = say(text="went right")
    return say(text=dsl.OneOf(left.output, middle.output, right.output)).output


@dsl.pipeline(name="leaves")
def leaves(flag: bool = True):
    with dsl.If(flag == True):  # noqa: E712
        say(text="on")
    with dsl.If(flag == False):  # noqa: E712
        say(text="off")


@python
def note_ending(status: dsl.PipelineTaskFinalStatus, prefix: str) -> str:
    return prefix + status.state


@dsl.pipeline(name="handled")
def handled(text: str = "fine"):
    ending = note_ending(prefix="it ")
    with dsl.ExitHandler(ending):
        say(text=text)


# Beyond what kfp.local can run, or runs in another way.


@dsl.pipeline(name="dynamic-loop")
def dynamic_loop(count: int = 3) -> int:
    begun = start(count=count)
    with dsl.ParallelFor(items=begun.outputs["workers"], parallelism=2) as index:
        squared = square(index=index)
    return total(numbers=dsl.Collected(squared.output)).output


@dsl.pipeline(name="joined")
def joined(text: str = 'quoted "a"') -> str:
    return join(texts=[say(text=text).output, f"<{text}>"]).output


@dsl.pipeline(name="optional")
def optional(maybe: Optional[str] = None, number: Optional[int] = None) -> str:
    return echo(text="t", maybe=maybe, number=number).output


@dsl.pipeline(name="chosen-file")
def chosen_file(left: bool = True) -> str:
    with dsl.If(left == True):  # noqa: E712
        one = part(name="one")
    with dsl.Else():
        other = part(name="other")
    return read(file=dsl.OneOf(one.outputs["out"], other.outputs["out"])).output


@dsl.pipeline(name="loop-in-loop")
def loop_in_loop(rows: List[str] = ["a", "b"], columns: List[str] = ["1", "2"]) -> str:
    with dsl.ParallelFor(items=rows) as row:
        with dsl.ParallelFor(items=columns) as column:
            made = cell(row=row, column=column)
    return gather(parts=dsl.Collected(made.outputs["out"]), names=["n"]).output


@dsl.pipeline(name="integers")
def integers(numbers: list = [1, 2.5, {"n": 3}]) -> str:
    return kinds(text="t", whole=1, real=2.0, flag=False, items=numbers, table={"n": [4]}, words=[]).output


@python
def rendezvous(index: int, count: int, folder: str) -> int:
    """Wait until all have come: they must run at the same time."""
    import os
    import time

    open(os.path.join(folder, str(index)), "w").close()
    deadline = time.monotonic() + 20
    while len(os.listdir(folder)) < count:
        if time.monotonic() > deadline:
            raise TimeoutError("only " + str(sorted(os.listdir(folder))) + " came")
        time.sleep(0.005)
    return index


@dsl.pipeline(name="search")
def search(folder: str, count: int = 4, size: int = 5) -> int:
    """The shape of a job: start, then the job estimator beside all the workers, then what builds on them."""
    begun = start(count=count)
    estimating = rendezvous(index=100, count=size, folder=folder).after(begun)
    with dsl.ParallelFor(items=begun.outputs["workers"], name="workers") as index:
        rendezvous(index=index, count=size, folder=folder).set_display_name("worker")
    return square(index=2).after(estimating).output


@python
def fail(message: str) -> str:
    def inner():
        raise KeyError("the cause")

    print("about to fail")
    try:
        inner()
    except KeyError as e:
        raise ValueError(message) from e


@python
def sleep(folder: str, seconds: float) -> str:
    import os
    import time

    with open(os.path.join(folder, "pid"), "w") as file:
        file.write(str(os.getpid()))
    time.sleep(seconds)
    return "slept"


@python
def wait_for_file(path: str) -> str:
    import os
    import time

    deadline = time.monotonic() + 20
    while not (os.path.exists(path) and os.path.getsize(path)):
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.005)
    return path


@dsl.pipeline(name="failing")
def failing(folder: str, message: str = "it broke"):
    ending = note_ending(prefix="it ")
    with dsl.ExitHandler(ending):
        sleep(folder=folder, seconds=60.0)
        begun = wait_for_file(path=f"{folder}/pid")
        broken = fail(message=message).after(begun)
        say(text=broken.output)


@dsl.pipeline(name="handled-by-pipeline")
def handled_by_pipeline(text: str = "x"):
    ending = middle(text="bye")
    with dsl.ExitHandler(ending):
        broken = fail(message=text)
        say(text=broken.output)


@dsl.pipeline(name="sleeping")
def sleeping(folder: str):
    sleep(folder=folder, seconds=60.0)


@python
def flaky(folder: str, good: int) -> int:
    import os

    tried = len(os.listdir(folder))
    open(os.path.join(folder, str(tried)), "w").close()
    if tried < good:
        raise OSError("not yet, attempt " + str(tried))
    return tried


@dsl.pipeline(name="retried")
def retried(folder: str, good: int = 2):
    flaky(folder=folder, good=good).set_retry(num_retries=2)


@python
def refuse() -> str:
    from omniforge.errors import DataError

    raise DataError("Column 'x' is missing.", hint="Did you mean 'y'?")


@dsl.pipeline(name="refusing")
def refusing():
    refuse().set_retry(num_retries=3)


@python
def forget(out: dsl.OutputPath(str)):
    pass


@dsl.pipeline(name="forgetful")
def forgetful():
    say(text=forget().outputs["out"])


@python
def show_environment(name: str) -> str:
    import os

    return os.environ.get(name, "unset")


@dsl.pipeline(name="environments")
def environments():
    show_environment(name="SAMPLE_A").set_env_variable("SAMPLE_A", "from the pipeline")
    show_environment(name="SAMPLE_B").set_env_variable("SAMPLE_B", "from the pipeline")


# What a local runner refuses.


@dsl.container_component
def container():
    return dsl.ContainerSpec(image="alpine", command=["echo"], args=["hello"])


@dsl.component(base_image="python:3.11", packages_to_install=["surely-not-there>=1", "pyyaml>=5", "numpy<1"])
def installs() -> str:
    return "x"


@dsl.component(base_image="python:3.11", target_image="registry.example/image")
def containerized() -> str:
    return "x"


@dsl.pipeline(name="unsupported", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def unsupported():
    container()
    installs()
    containerized()
    dsl.importer(artifact_uri="/tmp/somewhere", artifact_class=Dataset)
    say(text=dsl.WORKSPACE_PATH_PLACEHOLDER)


@dsl.pipeline(name="named")
def named() -> str:
    return say(text=f"{dsl.PIPELINE_JOB_NAME_PLACEHOLDER} {dsl.PIPELINE_TASK_NAME_PLACEHOLDER}").output


COMPARED: Dict[str, dict] = {
    "chain": {"count": 5},
    "filled": {"text": "given", "items": ["j", "k"]},
    "files": {},
    "nested": {},
    "static_loop": {},
    "listed_loop": {"count": 4},
    "struct_loop": {},
    "parameter_loop": {},
    "branches": {"text": "elsewhere"},
    "leaves": {"flag": False},
    "handled": {},
}
"""The pipelines that kfp.local runs too, with the arguments to compare on."""
