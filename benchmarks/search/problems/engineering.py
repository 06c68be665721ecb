"""Functions with outcome constraints: two toys, and four designs of machine parts with their published optima.

Toys: Gardner et al., ICML 2014, section 4.1; Branin's function within a disk (Gelbart, Snoek and Adams, UAI 2014). Designs, as in
Coello Coello, Computers in Industry 41 (2000): a tension spring (Arora), a pressure vessel (Kannan and Kramer), a welded beam
(Rao), a speed reducer (Golinski). The constraints are measured, at most 0 (or at most what the material bears), not given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omniforge.search import Objective, SearchSpace

Config = Mapping[str, Any]
Measures = Callable[..., tuple[float, dict[str, float]]]


class Constrained:
    """A loss and measurements that have to stay below a bound.

    Args:
        name: Of the problem.
        ranges: The numbers, by name: ``(low, high)``, integers where both are.
        measures: From these numbers to the loss and the bounded measurements.
        bounds: The largest acceptable value of each.
        optimum: The least loss within the bounds, where it is known.
    """

    initial: int | None = None

    def __init__(
        self,
        name: str,
        ranges: Mapping[str, Sequence[float]],
        *,
        measures: Measures,
        bounds: Mapping[str, float],
        optimum: float | None = None,
    ) -> None:
        self.name, self.optimum = name, optimum
        self.space = SearchSpace.from_dict(
            {
                key: {"type": "int" if all(isinstance(end, int) for end in ends) else "float", "range": list(ends)}
                for key, ends in ranges.items()
            }
        )
        limits = [Objective(key, "min", bound=bound, weight=0.0) for key, bound in bounds.items()]
        self.objectives: Sequence[Objective] = (Objective("loss", "min"), *limits)
        self._measures = measures

    def measure(self, config: Config) -> dict[str, float]:
        """Return the loss and the bounded measurements."""
        loss, others = self._measures(**config)
        return {"loss": loss, **others}

    def report(self, config: Config) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


def _waves(x: float, y: float) -> tuple[float, dict[str, float]]:
    return math.cos(2 * x) * math.cos(y) + math.sin(x), {"g": math.cos(x) * math.cos(y) - math.sin(x) * math.sin(y)}


def _islands(x: float, y: float) -> tuple[float, dict[str, float]]:
    return math.sin(x) + y, {"g": math.sin(x) * math.sin(y)}


def _branin(x: float, y: float) -> tuple[float, dict[str, float]]:
    bow = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    loss = bow**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    return loss, {"g": (x - 2.5) ** 2 + (y - 7.5) ** 2}


def _spring(wire: float, coil: float, turns: float) -> tuple[float, dict[str, float]]:
    gap = wire**3 * (coil - wire) or 1e-12
    return (turns + 2.0) * coil * wire**2, {
        "deflection": 1.0 - coil**3 * turns / (71785.0 * wire**4),
        "shear": (4 * coil**2 - wire * coil) / (12566.0 * gap) + 1.0 / (5108.0 * wire**2) - 1.0,
        "surge": 1.0 - 140.45 * wire / (coil**2 * turns),
        "diameter": (coil + wire) / 1.5 - 1.0,
    }


def _vessel(shell: int, head: int, radius: float, length: float) -> tuple[float, dict[str, float]]:
    ts, th = 0.0625 * shell, 0.0625 * head  # plates come in sixteenths of an inch
    cost = 0.6224 * ts * radius * length + 1.7781 * th * radius**2 + 3.1661 * ts**2 * length + 19.84 * ts**2 * radius
    volume = math.pi * radius**2 * length + 4.0 / 3.0 * math.pi * radius**3
    return cost, {"shell_in": 0.0193 * radius - ts, "head_in": 0.00954 * radius - th, "missing_in3": 1_296_000 - volume}


def _beam(weld: float, joint: float, height: float, thickness: float) -> tuple[float, dict[str, float]]:
    load, span, young, shear = 6000.0, 14.0, 30e6, 12e6
    arm = math.sqrt(joint**2 / 4 + ((weld + height) / 2) ** 2)
    inertia = 2 * math.sqrt(2) * weld * joint * (joint**2 / 12 + ((weld + height) / 2) ** 2)
    direct, twist = load / (math.sqrt(2) * weld * joint), load * (span + joint / 2) * arm / inertia
    buckling = (
        4.013 * young * math.sqrt(height**2 * thickness**6 / 36) / span**2
        * (1 - height / (2 * span) * math.sqrt(young / (4 * shear)))
    )  # fmt: skip
    return 1.10471 * weld**2 * joint + 0.04811 * height * thickness * (14.0 + joint), {
        "shear_psi": math.sqrt(direct**2 + direct * twist * joint / arm + twist**2),
        "bending_psi": 6 * load * span / (thickness * height**2),
        "deflection_in": 4 * load * span**3 / (young * height**3 * thickness),
        "overload_lb": load - buckling,
        "overlap_in": weld - thickness,
    }


def _reducer(
    face: float, module: float, teeth: int, first: float, second: float, shaft: float, axle: float
) -> tuple[float, dict[str, float]]:
    weight = (
        0.7854 * face * module**2 * (3.3333 * teeth**2 + 14.9334 * teeth - 43.0934)
        - 1.508 * face * (shaft**2 + axle**2)
        + 7.4777 * (shaft**3 + axle**3)
        + 0.7854 * (first * shaft**2 + second * axle**2)
    )
    lever = module * teeth
    return weight, {
        "bending": 27.0 / (face * module**2 * teeth) - 1,
        "contact": 397.5 / (face * module**2 * teeth**2) - 1,
        "deflection1": 1.93 * first**3 / (lever * shaft**4) - 1,
        "deflection2": 1.93 * second**3 / (lever * axle**4) - 1,
        "stress1": math.sqrt((745 * first / lever) ** 2 + 16.9e6) / (110 * shaft**3) - 1,
        "stress2": math.sqrt((745 * second / lever) ** 2 + 157.5e6) / (85 * axle**3) - 1,
        "size": lever / 40 - 1,
        "slim": 5 * module / face - 1,
        "wide": face / (12 * module) - 1,
        "fit1": (1.5 * shaft + 1.9) / first - 1,
        "fit2": (1.1 * axle + 1.9) / second - 1,
    }


def problems() -> list[Constrained]:
    """Return the problems."""
    zero = dict.fromkeys
    return [
        Constrained("gardner-1", {"x": (0.0, 6.0), "y": (0.0, 6.0)}, measures=_waves, bounds={"g": 0.5}),
        Constrained("gardner-2", {"x": (0.0, 6.0), "y": (0.0, 6.0)}, measures=_islands, bounds={"g": -0.95}),
        Constrained(
            "branin-disk", {"x": (-5.0, 10.0), "y": (0.0, 15.0)}, measures=_branin, bounds={"g": 50.0}, optimum=0.397887
        ),
        Constrained(
            "spring",
            {"wire": (0.05, 2.0), "coil": (0.25, 1.3), "turns": (2.0, 15.0)},
            measures=_spring,
            bounds=zero(("deflection", "shear", "surge", "diameter"), 0.0),
            optimum=0.012665,
        ),
        Constrained(
            "vessel",
            {"shell": (1, 99), "head": (1, 99), "radius": (10.0, 200.0), "length": (10.0, 200.0)},
            measures=_vessel,
            bounds=zero(("shell_in", "head_in", "missing_in3"), 0.0),
            optimum=6059.714,
        ),
        Constrained(
            "beam",
            {"weld": (0.125, 2.0), "joint": (0.1, 10.0), "height": (0.1, 10.0), "thickness": (0.1, 2.0)},
            measures=_beam,
            bounds={
                "shear_psi": 13600.0, "bending_psi": 30000.0, "deflection_in": 0.25, "overload_lb": 0.0,
                "overlap_in": 0.0,
            },
            optimum=1.724852,
        ),
        Constrained(
            "reducer",
            {
                "face": (2.6, 3.6), "module": (0.7, 0.8), "teeth": (17, 28), "first": (7.3, 8.3),
                "second": (7.3, 8.3), "shaft": (2.9, 3.9), "axle": (5.0, 5.5),
            },
            measures=_reducer,
            bounds=zero(
                ("bending", "contact", "deflection1", "deflection2", "stress1", "stress2", "size", "slim", "wide",
                 "fit1", "fit2"),
                0.0,
            ),
            optimum=2994.471,
        ),
    ]  # fmt: skip
